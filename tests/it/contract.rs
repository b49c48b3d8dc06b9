//! The committed contract is the one the code serves.

use crate::support::{digi, repository, said};

#[test]
fn the_committed_openapi_document_is_fresh() {
    let output = digi(&["openapi"]).output().expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    let served = String::from_utf8(output.stdout).expect("text");
    let committed = std::fs::read_to_string(repository("api/openapi.json"))
        .expect("api/openapi.json is committed");
    assert!(
        served.trim_end() == committed.trim_end(),
        "api/openapi.json is stale: run make openapi"
    );
}
