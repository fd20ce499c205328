//! `ftrack whoami`: who is connected to which server.

use crate::app::App;
use crate::failure::Result;

/// Print the user and the server that commands work with
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack whoami
  ftrack whoami --json")]
pub(crate) struct Whoami {
    /// Print it as a JSON object
    #[arg(long)]
    json: bool,
}

impl Whoami {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let user = session.user()?;
        let names = "id, username, first_name, last_name, email";
        session.populate(&user, names)?;
        let text = |name: &str| -> Result<String> {
            Ok(user.get::<Option<String>>(name)?.unwrap_or_default())
        };
        let version = session.server_information().version().unwrap_or("unknown");
        if self.json {
            let found = serde_json::json!({
                "server": session.server_url(),
                "server_version": version,
                "id": user.id(),
                "username": text("username")?,
                "first_name": text("first_name")?,
                "last_name": text("last_name")?,
                "email": text("email")?,
            });
            return app.print(&found.to_string());
        }
        let name = format!("{} {}", text("first_name")?, text("last_name")?);
        app.print(&crate::terminal::printable(&format!(
            "{} ({}) on {}, version {version}",
            text("username")?,
            name.trim(),
            session.server_url(),
        )))
    }
}
