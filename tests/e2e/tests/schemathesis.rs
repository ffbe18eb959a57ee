//! The API against its own document, by Schemathesis: whatever is generated from the schema, right
//! and wrong, is answered as the document says. A 500 stands nowhere in it (a test of the server
//! sees to that), so one is a failure here; a 503 or 504 about a device stands where it may come.

use anyhow::{Context, Result, ensure};
use e2e::{Site, root};
use std::process::Stdio;
use tokio::process::Command;

/// What is asked of an answer, by Schemathesis' names.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn no_generated_request_makes_the_api_fail() -> Result<()> {
    let (site, program) = Site::new().await?;
    let schemathesis = root().join("target/schemathesis/bin/schemathesis");
    let output = Command::new(&schemathesis)
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", program.url))
        .args(["--url", &program.url])
        .args(["--header", &format!("Authorization:Bearer {}", site.token())])
        .args(["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "25"])
        .args(["--seed", "1", "--generation-database", "none", "--no-color"])
        // Both would end or spoil the session that the other requests use.
        .args(["--exclude-path", "/api/v1/sessions/current", "--exclude-path", "/api/v1/sessions"])
        // Its answer has no end.
        .args(["--exclude-path", "/api/v1/reader-events"])
        .current_dir(site.folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("{}: cargo xtask test makes it", schemathesis.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    ensure!(output.status.success(), "Schemathesis found failures:\n{said}");
    ensure!(said.contains("passed") || said.contains("generated"), "nothing ran:\n{said}");
    program.kill().await
}
