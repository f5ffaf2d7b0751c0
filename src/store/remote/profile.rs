//! Profiles of `~/.aws`, which the client of object stores does not read itself: keys, region and endpoint of the one that is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a profile sets, by the names of the environment's variables.
pub fn profile(variable: &dyn Fn(&str) -> Option<String>) -> BTreeMap<&'static str, String> {
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).map(|home| PathBuf::from(home).join(".aws"));
    let file = |name: &str, default: &str| variable(name).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(default)));
    let name = variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE")).unwrap_or_else(|| "default".to_owned());
    let mut found = BTreeMap::new();
    // In the file of settings, all but the default one are called `profile NAME`.
    let (config, credentials) = (file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    for (path, section) in [(config, if name == "default" { name.clone() } else { format!("profile {name}") }), (credentials, name)] {
        let Some(path) = path else { continue };
        for (key, value) in section_of(&path, &section) {
            let variable = match key.as_str() {
                "aws_access_key_id" => "AWS_ACCESS_KEY_ID",
                "aws_secret_access_key" => "AWS_SECRET_ACCESS_KEY",
                "aws_session_token" => "AWS_SESSION_TOKEN",
                "region" => "AWS_REGION",
                "endpoint_url" => "AWS_ENDPOINT_URL",
                _ => continue,
            };
            found.insert(variable, value);
        }
    }
    found
}

/// The settings of a section of an INI file; none where file or section is not there.
fn section_of(path: &Path, wanted: &str) -> Vec<(String, String)> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let (mut inside, mut found) = (false, Vec::new());
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name.trim() == wanted;
        } else if let (true, Some((key, value)), false) = (inside, line.split_once('='), line.starts_with(['#', ';', ' ', '\t'])) {
            found.push((key.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(
            dir.path().join(".aws/config"),
            "[default]\nregion = eu-west-1\n\n[profile lab]\nregion=us-east-2\ns3 =\n  region = nested\nendpoint_url = http://lab\n",
        )
        .unwrap();
        std::fs::write(
            dir.path().join(".aws/credentials"),
            "# mine\n[default]\naws_access_key_id = a\naws_secret_access_key = b=\n[lab]\naws_access_key_id = c\n",
        )
        .unwrap();
        let home = dir.path().to_str().unwrap().to_owned();
        let of = |name: Option<&'static str>| {
            profile(&|variable| match variable {
                "HOME" => Some(home.clone()),
                "AWS_PROFILE" => name.map(str::to_owned),
                _ => None,
            })
        };
        let expected = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_REGION", "eu-west-1"), ("AWS_SECRET_ACCESS_KEY", "b=")];
        assert_eq!(of(None), expected.map(|(key, value)| (key, value.to_owned())).into());
        let expected = [("AWS_ACCESS_KEY_ID", "c"), ("AWS_ENDPOINT_URL", "http://lab"), ("AWS_REGION", "us-east-2")];
        assert_eq!(of(Some("lab")), expected.map(|(key, value)| (key, value.to_owned())).into());
        assert!(of(Some("other")).is_empty());
        assert!(profile(&|_| None).is_empty());
    }
}
