//! Prints the OpenAPI document: `cargo run -q -p api --example openapi > api/openapi.json`.

fn main() {
    print!("{}", api::spec());
}
