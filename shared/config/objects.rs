//! Settings of where large objects lie.
use std::path::PathBuf;

use url::Url;

use super::{Reader, Secret};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsConfig {
    Folder {
        folder: PathBuf,
    },
    /// A container of Azure Blob Storage. A `key` is an emulator's; without one the app's managed identity asks,
    /// `client_id` if it has several, for tokens that the platform hands out at `identity`.
    Azure {
        endpoint: Url,
        container: String,
        key: Option<Secret>,
        client_id: Option<String>,
        identity: Option<String>,
    },
}

impl Reader<'_> {
    pub(super) fn objects(&mut self) -> ObjectsConfig {
        let adapter = self.adapter("OFFPEAK_OBJECTS", "models and other large objects", "folder", &["folder", "azure"]);
        match adapter.as_str() {
            "azure" => {
                let endpoint = self.required("OFFPEAK_OBJECTS_ENDPOINT", "https://ACCOUNT.blob.core.windows.net/");
                let endpoint = self.url("OFFPEAK_OBJECTS_ENDPOINT", &endpoint);
                let container = self.text("OFFPEAK_OBJECTS_CONTAINER").unwrap_or_else(|| "offpeak".to_owned());
                let key = self.text("OFFPEAK_OBJECTS_KEY").map(Secret);
                let names = ["OFFPEAK_OBJECTS_ENDPOINT", "OFFPEAK_OBJECTS_KEY"];
                self.identity_or_emulator(&endpoint, key.as_ref(), names);
                let (client_id, identity) = (self.text("AZURE_CLIENT_ID"), self.text("IDENTITY_ENDPOINT"));
                ObjectsConfig::Azure { endpoint, container, key, client_id, identity }
            }
            "folder" => ObjectsConfig::Folder {
                folder: self.data("OFFPEAK_DATA", "the folder that holds objects/").join("objects"),
            },
            _ => ObjectsConfig::Folder { folder: PathBuf::new() },
        }
    }
}
