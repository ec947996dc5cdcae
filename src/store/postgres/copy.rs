//! Packed rows to the server, over COPY BINARY. Format of what stands around the rows:
//! postgresql.org/docs/current/sql-copy.html, "Binary Format".

use std::ops::Range;

use sqlx::PgConnection;

use crate::{
    otlp,
    store::{Error, tables::Packed},
};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: &[u8] = &(-1i16).to_be_bytes();

/// Copies all rows into their table; says how many.
pub(super) async fn all(connection: &mut PgConnection, rows: &Packed) -> Result<u64, Error> {
    let mut copy = connection.copy_in_raw(&statement(rows.name, rows)).await?;
    copy.send(SIGNATURE).await?;
    for chunk in rows.chunks() {
        // It was written a while ago, and has left the processor's cache.
        otlp::wire::fetch(chunk);
        copy.send(chunk).await?;
    }
    copy.send(END).await?;
    Ok(copy.finish().await?)
}

/// Copies some of the rows into `target`, which has the table's columns; says how many.
pub(super) async fn some(
    connection: &mut PgConnection,
    target: &str,
    rows: &Packed,
    which: Range<usize>,
) -> Result<u64, Error> {
    let mut bytes = SIGNATURE.to_vec();
    which.for_each(|row| bytes.extend_from_slice(rows.row(row)));
    bytes.extend_from_slice(END);
    let mut copy = connection.copy_in_raw(&statement(target, rows)).await?;
    copy.send(bytes).await?;
    Ok(copy.finish().await?)
}

fn statement(target: &str, rows: &Packed) -> String {
    let columns = rows.column_list();
    format!("COPY {target} ({columns}) FROM STDIN (FORMAT binary)")
}
