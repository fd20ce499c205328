//! Installs the official clients by name, into `target/clients`: `tests/clients/run` puts the
//! same ones there. The Python module is built and installed beside them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) const PYTHON: (&str, &str) = ("ftrack-python-api", "3.1.0");
pub(crate) const JAVASCRIPT: (&str, &str) = ("@ftrack/api", "1.11.2");

/// Where the clients are.
pub(crate) struct Clients {
    /// A Python that has the client.
    pub(crate) python: PathBuf,
    /// A Python that has the SDK's module.
    pub(crate) module: PathBuf,
    /// The folder whose `node_modules` has the client.
    pub(crate) node: PathBuf,
    /// The interpreters' versions, in words.
    pub(crate) versions: String,
}

/// Installs what is missing; an error if it cannot.
pub(crate) fn clients(target: &Path) -> Result<Clients> {
    let home = target.join("clients");
    let node_version =
        output(Command::new("node").arg("--version")).context("Node.js 20 or later is missing")?;
    let major = node_version.trim_start_matches('v').split('.').next();
    let major: u32 = major
        .unwrap_or_default()
        .parse()
        .context("Node.js's version")?;
    ensure!(
        major >= 20,
        "Node.js 20 or later is missing; this is {node_version}"
    );
    let python = python_client(&home.join("venv"))?;
    let module = python_module(&home.join("module"), target)?;
    let node = home.join("node");
    javascript_client(&node)?;
    let python_version = output(Command::new(&python).arg("--version"))?;
    Ok(Clients {
        python,
        module,
        node,
        versions: format!("{python_version}, Node.js {node_version}"),
    })
}

fn python_client(venv: &Path) -> Result<PathBuf> {
    const INSTALLED: &str = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))";
    let (name, version) = PYTHON;
    let python = venv_python(venv);
    let installed = || output(Command::new(&python).args(["-c", INSTALLED, name]));
    if installed().is_ok_and(|found| found == version) {
        return Ok(python);
    }
    run(Command::new(find_python()?)
        .args(["-m", "venv", "--clear"])
        .arg(venv))?;
    run(pip_install(&python).arg(format!("{name}=={version}")))?;
    ensure!(
        installed()? == version,
        "{name} {version} is not what was installed"
    );
    Ok(python)
}

/// Installs the module as it is now, built like this program.
fn python_module(venv: &Path, target: &Path) -> Result<PathBuf> {
    let python = venv_python(venv);
    if !python.exists() {
        run(Command::new(find_python()?).args(["-m", "venv"]).arg(venv))?;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/python");
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    run(pip_install(&python)
        .arg(source.canonicalize()?)
        .env("MATURIN_PEP517_ARGS", format!("--profile {profile}"))
        .env("CARGO_TARGET_DIR", target))?;
    Ok(python)
}

fn venv_python(venv: &Path) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    venv.join(folder).join("python")
}

fn pip_install(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet"]);
    pip.arg("--disable-pip-version-check");
    pip
}

fn find_python() -> Result<&'static str> {
    const RECENT: &str = "import sys; print(sys.version_info >= (3, 11))";
    let is_recent = |name: &&str| {
        output(Command::new(name).args(["-c", RECENT])).is_ok_and(|response| response == "True")
    };
    let names = ["python3", "python3.11", "python"];
    names
        .into_iter()
        .find(is_recent)
        .context("Python 3.11 or later is missing")
}

fn javascript_client(home: &Path) -> Result<()> {
    let (name, version) = JAVASCRIPT;
    let package = home.join("node_modules").join(name).join("package.json");
    let installed = || -> Result<bool> {
        let package: serde_json::Value = serde_json::from_slice(&std::fs::read(&package)?)?;
        Ok(package["version"] == version)
    };
    if installed().is_ok_and(|is_there| is_there) {
        return Ok(());
    }
    std::fs::create_dir_all(home)?;
    // A script of the shell on Windows, which has to be named in full there.
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    run(Command::new(npm)
        .args(install)
        .arg(home)
        .arg(format!("{name}@{version}")))?;
    ensure!(installed()?, "{name} {version} is not what was installed");
    Ok(())
}

/// What a program prints, without white space around it.
fn output(command: &mut Command) -> Result<String> {
    let name = format!("{:?}", command.get_program());
    let done = command
        .stderr(Stdio::null())
        .output()
        .context(name.clone())?;
    ensure!(done.status.success(), "{name} ended with {}", done.status);
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    // The driver's own output is the table.
    let status = command.stdout(Stdio::null()).status();
    match status.with_context(|| format!("{command:?}"))? {
        status if status.success() => Ok(()),
        status => bail!("{command:?} ended with {status}"),
    }
}
