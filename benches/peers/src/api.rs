//! The API as `ureq` and `serde_json` have it, with nothing around.

use std::io::Read as _;

use anyhow::Result;
use serde_json::{Value, json};
use ureq::Agent;

use crate::contender::{PAGE, variable};

/// A server, as a program without a client uses it.
pub(crate) struct Api {
    agent: Agent,
    url: String,
    user: String,
    key: String,
}

impl Api {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            agent: Agent::new_with_defaults(),
            url: format!("{}/api", variable("FTRACK_SERVER")?),
            user: variable("FTRACK_API_USER")?,
            key: variable("FTRACK_API_KEY")?,
        })
    }

    /// The bytes of the response to some actions; `options` asks for another form of it.
    pub(crate) fn post(&self, actions: &Value, options: Option<&str>) -> Result<Vec<u8>> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("ftrack-strict-api", "true")
            .header("ftrack-user", &self.user)
            .header("ftrack-api-key", &self.key);
        if let Some(options) = options {
            request = request.header("ftrack-api-options", options);
        }
        let response = request.send(serde_json::to_vec(actions)?)?;
        let mut bytes = Vec::new();
        response.into_body().into_reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A page of the tasks that are asked for with these paths.
    pub(crate) fn page(
        &self,
        paths: &[&str],
        offset: usize,
        options: Option<&str>,
    ) -> Result<Vec<u8>> {
        let paths = paths.join(", ");
        let expression = format!("select {paths} from Task offset {offset} limit {PAGE}");
        self.post(
            &json!([{"action": "query", "expression": expression}]),
            options,
        )
    }

    pub(crate) fn call(&self, actions: &Value) -> Result<Value> {
        Ok(serde_json::from_slice(&self.post(actions, None)?)?)
    }
}
