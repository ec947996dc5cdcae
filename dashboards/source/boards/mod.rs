//! The boards, a file each.

mod cost;
mod errors;
mod itself;
mod quality;
mod realtime;
mod speech;
mod usage;

use super::board::Board;

/// Name and text of every dashboard file.
pub fn files() -> Vec<(String, String)> {
    let boards: [fn() -> Board; 7] = [
        realtime::board,
        quality::board,
        cost::board,
        speech::board,
        usage::board,
        errors::board,
        itself::board,
    ];
    boards
        .iter()
        .map(|board| {
            let board = board();
            (board.file(), format!("{:#}\n", board.json()))
        })
        .collect()
}
