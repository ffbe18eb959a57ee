//! Brings up what a fresh machine lacks: the wasm target through rustup, Chromium, minisign, SoftHSM2
//! and pcscd through Debian's packages. Checks before it changes anything; where it may not install,
//! it says what to do.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// The target that drivers are built for.
pub fn wasm_target() -> Result<()> {
    let target = polymeter_sdk::TARGET;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    println!("adding the Rust target {target}");
    let added = Command::new("rustup").args(["target", "add", target]).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "the Rust target {target} is missing and rustup could not add it: rustup target add {target}"
        ),
    }
}

/// The page's assets come through npm while the server is built.
pub fn npm() -> Result<()> {
    if found("npm") {
        return Ok(());
    }
    bail!("npm is missing: install Node.js 20 or newer")
}

/// The program that packages must agree with.
pub fn minisign() -> Result<()> {
    // It has no `--version`, and says so: that it starts is enough.
    let mut program = Command::new("minisign");
    if program.arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return Ok(());
    }
    apt_install(&["minisign"])
}

/// A real browser for the page's test, and a font that has the page's Chinese; without one the
/// pictures show boxes, which is no reason to fail.
pub fn chromium() -> Result<()> {
    if !found("chromium") {
        apt_install(&["chromium"])?;
    }
    let listed = Command::new("fc-list").args([":lang=zh", "family"]).output();
    let has_chinese = listed.is_ok_and(|listed| !listed.stdout.trim_ascii().is_empty());
    if !has_chinese && let Err(error) = apt_install(&["fonts-wqy-microhei"]) {
        eprintln!("Chinese will be boxes in the page's pictures: {error:#}");
    }
    Ok(())
}

/// A PKCS#11 token in software, for the vault's tests.
pub fn softhsm() -> Result<()> {
    if found("softhsm2-util") {
        return Ok(());
    }
    apt_install(&["softhsm2"])
}

/// What card readers are spoken to through, and one that is none.
pub fn pcscd() -> Result<()> {
    if virtual_reader::found() {
        return Ok(());
    }
    apt_install(&["pcscd", "vsmartcard-vpcd"])?;
    if virtual_reader::found() { Ok(()) } else { bail!("pcscd or its virtual reader is missing") }
}

/// The server whose programs the test run starts a cluster with; one that Debian's package has
/// started is not used.
pub fn postgresql() -> Result<()> {
    if crate::postgres::programs().is_some() {
        return Ok(());
    }
    apt_install(&["postgresql"])
}

/// The programs that the bench holds us against. One that cannot be had is missing from the report,
/// which says so.
pub fn bench_peers(root: &Path) {
    let libmodbus = Command::new("pkg-config").args(["--exists", "libmodbus"]).status();
    if !libmodbus.is_ok_and(|status| status.success())
        && let Err(error) = apt_install(&["libmodbus-dev", "pkg-config"])
    {
        eprintln!("libmodbus will be missing: {error:#}");
    }
    let python = "target/bench-python";
    if !root.join(python).join("bin/pymodbus.simulator").is_file()
        && let Err(error) = pip_install(root, python, "pymodbus==3.16.1")
    {
        eprintln!("pymodbus will be missing: {error:#}");
    }
    for (name, install) in
        [("pyMeterBus", peer_mbus as fn(&Path) -> Result<()>), ("dlt645", peer_dlt645)]
    {
        if let Err(error) = install(root) {
            eprintln!("{name} will be missing: {error:#}");
        }
    }
}

/// What asks the API everything that its document allows, and more.
pub fn schemathesis(root: &Path) -> Result<()> {
    let environment = "target/schemathesis";
    let program = root.join(environment).join("bin/schemathesis");
    if found(program) { Ok(()) } else { pip_install(root, environment, "schemathesis==4.32.5") }
}

/// Somebody else's M-Bus, which the tests compare ours with.
pub fn peer_mbus(root: &Path) -> Result<()> {
    let environment = "target/peer-mbus";
    let there = root.join(environment).join("bin/python").is_file();
    if there { Ok(()) } else { pip_install(root, environment, "pymeterbus==0.8.5") }
}

/// Somebody else's Modbus device, which the tests read by a map.
pub fn peer_modbus(root: &Path) -> Result<()> {
    let environment = "target/peer-modbus";
    let there = root.join(environment).join("bin/python").is_file();
    if there { Ok(()) } else { pip_install(root, environment, "pymodbus==3.16.1") }
}

/// Somebody else's DLMS client and server, which the tests set against our meter and our driver.
pub fn peer_dlms(root: &Path) -> Result<()> {
    let environment = "target/peer-dlms";
    let there = root.join(environment).join("bin/python").is_file();
    if there { Ok(()) } else { pip_install(root, environment, "gurux_dlms==1.0.203") }
}

/// Somebody else's DL/T 645, which the tests compare ours with.
pub fn peer_dlt645(root: &Path) -> Result<()> {
    let environment = "target/peer-dlt645";
    let there = root.join(environment).join("bin/python").is_file();
    if there { Ok(()) } else { pip_install(root, environment, "dlt645==3.2.0") }
}

/// A package of PyPI into an environment of its own below `root`, never into the system's Python.
pub(crate) fn pip_install(root: &Path, environment: &str, package: &str) -> Result<()> {
    println!("installing {package} into {environment}");
    let environment = root.join(environment);
    crate::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install = ["install", "--quiet", "--disable-pip-version-check", package];
    crate::run(Command::new(environment.join("bin/pip")).args(install))
}

pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !found("apt-get") {
        bail!(
            "{names} is missing and this is not Debian: install it so that its programs are on the PATH"
        );
    }
    println!("installing {names} from Debian's packages");
    let apt_get = |arguments: &[&str]| -> Result<()> {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .context("apt-get did not start")?;
        if !status.success() {
            bail!("apt-get {} failed; as root: apt-get install {names}", arguments.join(" "));
        }
        Ok(())
    };
    apt_get(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(&[install.as_slice(), packages].concat())
}

pub(crate) fn found(program: impl AsRef<std::ffi::OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name} did not start"))?;
    Ok(String::from_utf8(output.stdout)?)
}
