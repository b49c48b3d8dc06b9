//! The HTTP edge from the outside: sign-in, the door, lists, decisions and the live stream, on SQLite and PostgreSQL.

mod decisions;
mod door;
mod house;
mod lists;
mod live;
mod sign_in;
