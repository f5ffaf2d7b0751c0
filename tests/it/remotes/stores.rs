//! The suite over each store that can be written to, and what each has of its own.

use super::contract::conforms;
use super::servers::{Server, azurite, free_port, gcs, s3rver, seaweed};
use super::suite::Suite;
use crate::support::Sandbox;

use std::sync::Arc;

use dsv::store::remote::{Connect, Location, RemoteStore};

/// The store at an address of a server, as the floors above get it.
fn store(server: &Server, url: &str, lock: bool) -> RemoteStore {
    let variables: Vec<(&str, String)> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"]
        .into_iter()
        .chain(["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ENDPOINT", "STORAGE_EMULATOR_HOST"])
        .filter_map(|name| Some((name, server.variable(name)?)))
        .collect();
    let connect = Connect { lock, ..Connect::new(move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())) };
    RemoteStore::new(&Location::parse(url).unwrap(), &connect).unwrap()
}

/// A push to a store that ignores conditions is refused in one clear line, and nothing is there afterwards.
fn is_noticed(server: &Server, url: &str) {
    let ada = server.admit(Sandbox::birds());
    ada.ok(["remote", "add", "origin", url]);
    for _ in 0..2 {
        let refused = ada.run(["push"]);
        assert!(refused.code == 3 && refused.stderr.starts_with(&format!("error: {url}/")), "{refused:?}");
        assert!(refused.stderr.contains("it writes over files whatever conditions a request makes"), "{refused:?}");
        assert!(refused.stderr.contains("hint: ") && refused.stderr.contains("--lock") && refused.stderr.lines().count() == 2, "{refused:?}");
    }
    assert!(ada.run(["ls-remote"]).stderr.contains("there is no dsv repository"));
    // With a lock it is used, and it is told what that means.
    let locked = ada.run(["push", "--lock"]);
    assert!(locked.code == 0 && locked.stderr.contains("warning: the store is used with a lock file"), "{locked:?}");
    // Used once, it is no better known than before.
    ada.ok(["commit", "--allow-empty", "-m", "nothing"]);
    assert_eq!(ada.run(["push"]).code, 3);
}

#[test]
fn a_folder() {
    let (ada, grace) = (Sandbox::birds(), Sandbox::empty());
    let hub = ada.path("hub");
    Suite { ada: &ada, grace: &grace, url: hub.to_str().unwrap(), push: &["push"] }.run();
    // The same by another form of its address, and a rebase.
    let url = format!("file://{}", hub.display());
    grace.ok(["clone", &url, "again"]);
    grace.ok(["-C", "again", "query", "UPDATE birds SET name = 'ibis' WHERE id = 3"]);
    grace.ok(["-C", "again", "query", "UPDATE birds SET label = 'tall' WHERE id = 3"]);
    grace.ok(["-C", "again", "commit", "-m", "tall"]);
    ada.ok(["switch", "main"]);
    ada.ok(["query", "DELETE FROM birds WHERE id = 1"]);
    ada.ok(["commit", "-m", "no gull"]);
    ada.ok(["push"]);
    grace.ok(["-C", "again", "pull", "--rebase"]);
    assert!(grace.ok(["-C", "again", "log", "--oneline", "-n", "2"]).contains("no gull"));
    // What does not fit is told, and changes nothing.
    assert!(ada.refused(2, ["push", "nowhere"]).contains("there is no remote 'nowhere'"));
    assert!(ada.refused(2, ["push", "origin", "mian"]).contains("did you mean 'main'"));
    assert!(ada.refused(2, ["remote", "add", "origin", "x"]).contains("exists already"));
    assert!(ada.refused(2, ["remote", "add", "web", "https://ada:secret@host/x"]).contains("credentials come from the environment"));
    assert!(ada.refused(2, ["remote", "add", "old", "ftp://host/x"]).contains("none of s3://"));
    assert!(ada.refused(2, ["clone", "/nowhere/at/all"]).contains("no dsv repository"));
}

#[test]
fn seaweedfs() {
    let Some(server) = seaweed() else { return };
    conforms(Arc::new(store(server, "s3://data/contract", false)));
    // A prefix that holds something else takes no repository.
    let foreign = server.admit(Sandbox::birds());
    foreign.ok(["remote", "add", "top", "s3://data"]);
    assert!(foreign.refused(2, ["push", "top"]).contains("it holds something else"));
    let (ada, grace) = (server.admit(Sandbox::birds()), server.admit(Sandbox::empty()));
    ada.ok(["remote", "add", "none", "s3://nobody/x"]);
    let missing = ada.run(["push", "none"]);
    assert!(missing.code == 3 && missing.stderr.starts_with("error: s3://nobody/x") && missing.stderr.contains("no such bucket"), "{missing:?}");
    ada.ok(["remote", "remove", "none"]);
    Suite { ada: &ada, grace: &grace, url: "s3://data/suite", push: &["push"] }.run();
    // Wrong and missing credentials, and nobody at home.
    let mut wrong = server.admit(Sandbox::empty());
    wrong.set("AWS_SECRET_ACCESS_KEY", "byron");
    let told = wrong.run(["clone", "s3://data/suite"]);
    assert!(told.code == 3 && told.stderr.contains("the keys are wrong") && !told.stderr.contains("byron") && !wrong.path("suite").exists(), "{told:?}");
    let mut gone = server.admit(Sandbox::empty());
    gone.set("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", free_port()));
    let told = gone.run(["clone", "s3://data/suite", "--retries", "1", "--timeout", "2"]);
    assert!(told.code == 3 && told.stderr.contains("hint: look at the address") && told.stderr.lines().count() == 2, "{told:?}");
    let other = grace.run(["clone", "s3://data/elsewhere"]);
    assert!(other.code == 2 && other.stderr.contains("no dsv repository"), "{other:?}");
}

#[test]
fn azure() {
    let Some(server) = azurite() else { return };
    let (ada, grace) = (server.admit(Sandbox::birds()), server.admit(Sandbox::empty()));
    ada.ok(["remote", "add", "none", "az://nobody/x"]);
    let missing = ada.run(["push", "none"]);
    assert!(missing.code == 3 && missing.stderr.starts_with("error: az://nobody/x") && missing.stderr.contains("no such bucket"), "{missing:?}");
    ada.ok(["remote", "remove", "none"]);
    // At the top of the container, and then beside it.
    Suite { ada: &ada, grace: &grace, url: "az://data", push: &["push"] }.run();
    conforms(Arc::new(store(&server, "az://data/contract", false)));
    // The endpoint by an option, and the names of the environment that Microsoft's own tool reads.
    let mut other = Sandbox::empty();
    let known = |name: &str| server.variable(name).unwrap();
    other.set("AZURE_STORAGE_ACCOUNT", known("AZURE_STORAGE_ACCOUNT_NAME"));
    other.set("AZURE_STORAGE_KEY", known("AZURE_STORAGE_ACCOUNT_KEY"));
    other.ok(["clone", "az://data", "work", "--endpoint", &known("AZURE_STORAGE_ENDPOINT")]);
    other.ok(["-C", "work", "fetch"]);
    let mut wrong = server.admit(Sandbox::empty());
    wrong.set("AZURE_STORAGE_ACCOUNT_KEY", "Ynlyb24=");
    let told = wrong.run(["clone", "az://data", "work"]);
    assert!(told.code == 3 && told.stderr.contains("it answered 403") && !told.stderr.contains("Ynlyb24") && !wrong.path("work").exists(), "{told:?}");
}

/// With the conditions that Google heeds, which the emulator does not.
#[test]
fn google() {
    let Some(server) = gcs(&["--conditions"]) else { return };
    conforms(Arc::new(store(&server, "gs://data/contract", false)));
    let (ada, grace) = (server.admit(Sandbox::birds()), server.admit(Sandbox::empty()));
    Suite { ada: &ada, grace: &grace, url: "gs://data/suite", push: &["push"] }.run();
}

#[test]
fn google_s_emulator_ignores_conditions() {
    let Some(server) = gcs(&[]) else { return };
    is_noticed(&server, "gs://data/suite");
    // By itself it does not even speak the protocol: the answer to a write names no version.
    let Some(bare) = gcs(&["--bare"]) else { return };
    let ada = bare.admit(Sandbox::birds());
    ada.ok(["remote", "add", "origin", "gs://data/suite"]);
    let refused = ada.run(["push", "--retries", "0"]);
    assert!(refused.code == 3 && refused.stderr.starts_with("error: gs://data/suite/") && !refused.stderr.contains("panicked"), "{refused:?}");
    assert_eq!(refused.stderr.lines().filter(|line| !line.starts_with("hint: ")).count(), 1, "{refused:?}");
}

#[test]
fn s3rver_ignores_conditions() {
    let Some(server) = s3rver() else { return };
    is_noticed(&server, "s3://data/noticed");
    let (ada, grace) = (server.admit(Sandbox::birds()), server.admit(Sandbox::empty()));
    Suite { ada: &ada, grace: &grace, url: "s3://data/suite", push: &["push", "--lock"] }.run();
}
