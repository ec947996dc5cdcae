//! What is stored, read with plain SQL.

use std::path::Path;

use sqlx::{Column, Row, TypeInfo};

/// A store to look into. Connects anew for each question.
pub struct Rows {
    url: String,
}

impl Rows {
    pub fn sqlite(path: &Path) -> Self {
        Self {
            url: format!("sqlite://{}", path.display()),
        }
    }

    pub fn postgres(url: &str) -> Self {
        Self {
            url: url.to_owned(),
        }
    }

    /// Every row's columns as text; NULL is "NULL".
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_query(sql).unwrap()
    }

    /// The same, or why the store refuses it.
    pub fn try_query(&self, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            if self.url.starts_with("sqlite") {
                use sqlx::{Connection, SqliteConnection};
                let mut connection = SqliteConnection::connect(&self.url).await?;
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                Ok(rows.iter().map(sqlite_row).collect())
            } else {
                use sqlx::{Connection, PgConnection};
                let mut connection = PgConnection::connect(&self.url).await?;
                let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
                Ok(rows.iter().map(postgres_row).collect())
            }
        })
    }
}

fn sqlite_row(row: &sqlx::sqlite::SqliteRow) -> Vec<String> {
    (0..row.columns().len())
        .map(|i| {
            let value: Option<String> = match row.column(i).type_info().name() {
                "INTEGER" | "BOOLEAN" => row
                    .try_get_unchecked::<Option<i64>, _>(i)
                    .unwrap()
                    .map(|v| v.to_string()),
                "REAL" => row
                    .try_get_unchecked::<Option<f64>, _>(i)
                    .unwrap()
                    .map(|v| v.to_string()),
                // The type of an expression is known only from its value.
                "NULL" => row
                    .try_get::<Option<i64>, _>(i)
                    .map(|v| v.map(|v| v.to_string()))
                    .or_else(|_| {
                        row.try_get::<Option<f64>, _>(i)
                            .map(|v| v.map(|v| v.to_string()))
                    })
                    .or_else(|_| row.try_get::<Option<String>, _>(i))
                    .unwrap(),
                _ => row.try_get_unchecked::<Option<String>, _>(i).unwrap(),
            };
            value.unwrap_or_else(|| "NULL".into())
        })
        .collect()
}

fn postgres_row(row: &sqlx::postgres::PgRow) -> Vec<String> {
    (0..row.columns().len())
        .map(|i| {
            let value: Option<String> = match row.column(i).type_info().name() {
                "INT2" => row.get::<Option<i16>, _>(i).map(|v| v.to_string()),
                "INT4" => row.get::<Option<i32>, _>(i).map(|v| v.to_string()),
                "INT8" => row.get::<Option<i64>, _>(i).map(|v| v.to_string()),
                "FLOAT8" => row.get::<Option<f64>, _>(i).map(|v| v.to_string()),
                "BOOL" => row.get::<Option<bool>, _>(i).map(|v| v.to_string()),
                "DATE" => row
                    .get::<Option<chrono::NaiveDate>, _>(i)
                    .map(|v| v.to_string()),
                "TIMESTAMPTZ" => row
                    .get::<Option<chrono::DateTime<chrono::Utc>>, _>(i)
                    .map(|v| v.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
                _ => row.get::<Option<String>, _>(i),
            };
            value.unwrap_or_else(|| "NULL".into())
        })
        .collect()
}
