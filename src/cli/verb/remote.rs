//! `dsv remote`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::table::width;

/// List, add, rename or remove remotes
///
/// A remote is another repository under a name: in a folder, on an object store or on a web server. Credentials come from the environment, from
/// profiles or from the machine's role, and are never kept in settings.
///
///   a path, file:///path    a folder, of this machine or mounted
///   s3://bucket/path        AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; AWS_REGION; AWS_ENDPOINT_URL for other stores than Amazon's
///   gs://bucket/path        GOOGLE_APPLICATION_CREDENTIALS; STORAGE_EMULATOR_HOST for others than Google's
///   az://container/path     AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY; AZURE_STORAGE_ENDPOINT for others than Microsoft's
///   https://host/path       any web server, read only; DSV_TOKEN as a bearer token
///
/// With --json, a line for each remote: {"remote", "url"}.
///
/// Examples:
///
///   dsv remote list
///   dsv remote add origin s3://bucket/frames
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Remote {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Action {
    /// List remotes
    ///
    /// Examples:
    ///
    ///   dsv remote list
    #[command(verbatim_doc_comment)]
    List,
    /// Add a remote
    ///
    /// Nothing is asked there yet: `dsv fetch` or `dsv push` is the first to.
    ///
    /// Examples:
    ///
    ///   dsv remote add origin s3://bucket/frames
    ///   dsv remote add lab s3://frames --endpoint http://localhost:9000
    ///   dsv remote add share /mnt/share/frames
    #[command(verbatim_doc_comment)]
    Add {
        /// Its name, such as origin
        #[arg(value_name = "NAME")]
        name: String,
        /// Its address
        #[arg(value_name = "URL")]
        url: String,
        /// The address of a store that speaks S3's, Azure's or Google's protocol elsewhere
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// The region of a bucket
        #[arg(long, value_name = "NAME")]
        region: Option<String>,
    },
    /// Forget a remote, and what was fetched from it where no branch has it
    ///
    /// Nothing changes there.
    ///
    /// Examples:
    ///
    ///   dsv remote remove lab
    #[command(verbatim_doc_comment)]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Give a remote another name
    ///
    /// Examples:
    ///
    ///   dsv remote rename origin old
    #[command(verbatim_doc_comment)]
    Rename {
        /// Its name
        #[arg(value_name = "OLD")]
        old: String,
        /// The new one
        #[arg(value_name = "NEW")]
        new: String,
    },
    /// Give a remote another address
    ///
    /// Examples:
    ///
    ///   dsv remote set-url origin s3://other/frames
    #[command(verbatim_doc_comment)]
    SetUrl {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// The new address
        #[arg(value_name = "URL")]
        url: String,
    },
}

impl Remote {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let ui = &context.ui;
        match self.action.unwrap_or(Action::List) {
            Action::List => {
                let remotes = repo.remotes()?;
                let mut out = ui.page();
                let wide = remotes.iter().map(|remote| width(&remote.name)).max().unwrap_or(0);
                for remote in &remotes {
                    if ui.json {
                        writeln!(out, "{}", json!({ "remote": remote.name, "url": remote.url }))?;
                    } else {
                        writeln!(out, "{}{} {}", ui.paint.branch(&remote.name), " ".repeat(wide - width(&remote.name)), remote.url)?;
                    }
                }
                return Ok(out.finish()?);
            }
            Action::Add { name, url, endpoint, region } => {
                if endpoint.as_ref().is_some_and(|endpoint| endpoint.contains(['@', '?', '#'])) {
                    return Err(CliError::usage("an endpoint has no password or query in it").hint("credentials come from the environment or from profiles"));
                }
                repo.add_remote(&name, &url)?;
                for (key, value) in [("endpoint", endpoint), ("region", region)] {
                    if let Some(value) = value {
                        repo.config().set(crate::repo::Scope::Repository, &format!("remote.{name}.{key}"), &value)?;
                    }
                }
                ui.note(format!("Remote {name} is {url}"));
            }
            Action::Remove { name } => {
                repo.remove_remote(&name)?;
                ui.note(format!("Forgot remote {name}"));
            }
            Action::Rename { old, new } => {
                repo.rename_remote(&old, &new)?;
                ui.note(format!("Remote {old} is called {new} now"));
            }
            Action::SetUrl { name, url } => {
                repo.set_remote_url(&name, &url)?;
                ui.note(format!("Remote {name} is {url}"));
            }
        }
        Ok(())
    }
}
