//! Writes the dashboards of this folder: `cargo run --example dashboards`.

#[path = "mod.rs"]
mod dashboards;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for (name, text) in dashboards::files() {
        std::fs::write(folder.join(&name), text)?;
        println!("dashboards/{name}");
    }
    Ok(())
}
