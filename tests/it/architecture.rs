//! The house stays in order: who may import whom, how long a file may be, no drawers for oddments.

use std::path::{Path, PathBuf};

/// Each room may use only what stands before it.
const ORDER: &[&str] = &[
    "record",
    "otlp",
    "spool",
    "receive",
    "map",
    "price",
    "count",
    "store",
    "sink",
    "pipeline",
    "query",
    "alert",
    "health",
    "scale",
    "maintain",
    "api",
    "web",
    "telemetry",
    "config",
    "app",
    "demo",
    "load",
    "cli",
];
/// Strangers although their order would allow it: (room, what it may not use).
const STRANGERS: &[(&str, &str)] = &[
    ("map", "receive"),
    ("map", "spool"),
    ("price", "spool"),
    ("count", "spool"),
    ("web", "receive"),
];
const LONGEST_FILE: usize = 500;
const DRAWERS: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "manager",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            false => {}
        }
    }
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20);
    files
        .iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn rooms_import_only_what_stands_left_of_them() {
    let place = |room: &str| ORDER.iter().position(|r| *r == room);
    let mut wrong = Vec::new();
    for (name, text) in all() {
        let room = name.split(['/', '.']).next().unwrap();
        let Some(mine) = place(room) else {
            assert!(
                ["lib", "main"].contains(&room),
                "{name}: a room that ORDER does not know"
            );
            continue;
        };
        // Unit tests may look further.
        let code = text.split("#[cfg(test)]").next().unwrap();
        if name.contains("tests") {
            continue;
        }
        for used in uses(code) {
            let stranger = STRANGERS.contains(&(room, used.as_str()));
            if place(&used).is_some_and(|theirs| theirs > mine) || stranger {
                wrong.push(format!("{name}: {room} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rooms named after `crate::`, in `crate::{a, b::c}` lists too.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + 7..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut name)),
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            found.push(name);
        } else {
            found.push(rest.to_owned());
        }
    }
    let first_word = |text: String| {
        text.trim()
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or("")
            .to_owned()
    };
    found
        .into_iter()
        .map(first_word)
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn files_are_short_and_no_drawer_is_opened() {
    for (name, text) in all() {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST_FILE,
            "{name} has {lines} lines: is there a second room in it?"
        );
        let parts = name.trim_end_matches(".rs").split('/');
        assert!(
            !parts.into_iter().any(|part| DRAWERS.contains(&part)),
            "{name}: say what is in it"
        );
    }
}

#[test]
fn sql_stays_in_store_and_query() {
    for (name, text) in all() {
        if ["store/", "query/"]
            .iter()
            .any(|room| name.starts_with(room))
            || name.contains("tests")
        {
            continue;
        }
        assert!(
            !text.contains("sqlx::query"),
            "{name}: SQL belongs to store or query"
        );
    }
}

/// The fuzz targets build some of the rooms alone, by a manifest of their own, which the main build
/// does not look at.
#[test]
fn fuzzing_has_the_libraries_of_the_rooms_that_it_builds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let libraries = |path: &str| -> Vec<String> {
        let manifest: toml::Table = read(path).parse().unwrap();
        let names = manifest["dependencies"].as_table().unwrap().keys();
        names.map(|name| name.replace('-', "_")).collect()
    };
    let (ours, theirs) = (libraries("Cargo.toml"), libraries("tests/fuzz/Cargo.toml"));
    // Whole rooms, and single files and folders of others.
    let built: Vec<String> = ["lib.rs", "store.rs", "pipeline.rs"]
        .map(|file| read(&format!("tests/fuzz/{file}")))
        .concat()
        .split("../../src/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("mod.rs", ""))
        .collect();
    assert!(built.len() > 6, "{built:?}");
    let mut missing = Vec::new();
    for (name, text) in all() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        if name.contains("tests") || !built.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        let is_used = |library: &str| {
            code.match_indices(&format!("{library}::")).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            })
        };
        let used = ours.iter().filter(|library| is_used(library));
        for library in used.filter(|library| !theirs.contains(library)) {
            missing.push(format!("{name} needs {library}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
