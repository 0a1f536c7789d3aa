//! Settings as they are read: what is missing, what is wrong, what is never shown.
use super::*;

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
    Config::read(&|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn without_local_mode_every_adapter_is_missed_at_once() {
    let faults = read(&[]).unwrap_err().0;
    let ports = ["STORE", "BUS", "CACHE", "PAYMENTS", "IDENTITY", "MAIL", "OBJECTS"];
    for name in ports.map(|it| format!("OFFPEAK_{it}")) {
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("{name} is missing"))), "{name}: {faults:?}");
    }
}

#[test]
fn local_mode_needs_only_a_folder() {
    let faults = read(&[("OFFPEAK_MODE", "local")]).unwrap_err().0;
    assert!(faults.iter().all(|fault| fault.starts_with("OFFPEAK_DATA is missing")), "{faults:?}");
    let settings = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_DEVHOST_URL", "http://127.0.0.1:99")];
    let config = read(&settings).unwrap();
    assert_eq!(config.store, StoreConfig::Sqlite { file: "d/store.db".into() });
    let IdentityConfig::Oidc { issuer, .. } = config.identity;
    assert_eq!(issuer.as_str(), "http://127.0.0.1:99/dev/identity");
}

#[test]
fn cosmos_takes_an_identity_and_on_this_machine_a_key() {
    let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_STORE", "cosmos")];
    let check = |settings: &[(&str, &str)], fault: Option<&str>| match (read(&[&local, settings].concat()), fault) {
        (Ok(config), None) => {
            let StoreConfig::Cosmos { regions, .. } = &config.store else { panic!("{:?}", config.store) };
            assert_eq!(*regions, ["North Europe", "West Europe"]);
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        }
        (Err(faults), Some(fault)) => {
            assert!(matches!(&faults.0[..], [one] if one.starts_with(fault)), "{faults:?}");
        }
        (read, fault) => panic!("{read:?} is not {fault:?}"),
    };
    let regions = ("OFFPEAK_COSMOS_REGIONS", "North Europe, West Europe");
    let (cloud, here) = ("https://shop.documents.azure.com/", "http://127.0.0.1:8081/");
    let (endpoint, key) = ("OFFPEAK_COSMOS_ENDPOINT", ("OFFPEAK_COSMOS_KEY", "hunter2"));
    check(&[(endpoint, cloud), regions], None);
    check(&[(endpoint, here), key, regions], None);
    check(&[(endpoint, cloud), key], Some("OFFPEAK_COSMOS_KEY is for an emulator"));
    check(&[(endpoint, here)], Some("OFFPEAK_COSMOS_ENDPOINT is not https"));
    check(&[("OFFPEAK_COSMOS_KEY", "")], Some("OFFPEAK_COSMOS_ENDPOINT is missing"));
}

#[test]
fn a_broker_takes_an_identity_and_on_this_machine_a_key() {
    let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d")];
    let access = |settings: &[(String, &str)]| {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        read(&[&local, &settings[..]].concat()).map(|it| {
            assert!(!format!("{it:?}").contains("hunter2"), "{it:?}");
            let (BusConfig::ServiceBus { access: bus, .. }, HubConfig::EventHubs { access: hub, .. }) =
                (it.bus, it.hub);
            [bus, hub]
        })
    };
    let (cloud, here) = ("https://shop.servicebus.windows.net", "http://127.0.0.1:5300");
    let identity = BrokerAccess::Identity { client_id: None };
    let policy = BrokerAccess::Policy { name: "send".to_owned(), key: Secret("hunter2".to_owned()) };
    for (at, broker) in ["OFFPEAK_BUS", "OFFPEAK_HUB"].into_iter().enumerate() {
        let endpoint = |value| (format!("{broker}_ENDPOINT"), value);
        let (key, name) = ((format!("{broker}_KEY"), "hunter2"), (format!("{broker}_KEY_NAME"), "send"));
        assert_eq!(access(&[endpoint(cloud)]).unwrap()[at], identity);
        assert_eq!(access(&[endpoint(here), key.clone(), name.clone()]).unwrap()[at], policy);
        assert!(matches!(&access(&[]).unwrap()[at], BrokerAccess::Policy { name, .. } if name == "local"));
        let fault = |settings: &[(String, &str)]| access(settings).unwrap_err().0.remove(0);
        let given_away = fault(&[endpoint(cloud), key.clone(), name]);
        assert!(given_away.starts_with(&format!("{broker}_KEY is for an emulator")), "{given_away}");
        let nameless = fault(&[endpoint(here), key]);
        assert!(nameless.starts_with(&format!("{broker}_KEY_NAME is missing")), "{nameless}");
    }
}

#[test]
fn redis_takes_an_identity_and_on_this_machine_a_password() {
    let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_CACHE", "redis")];
    let check = |url: &str, cluster: &str, fault: Option<&str>| {
        let settings = [("OFFPEAK_REDIS_URL", url), ("OFFPEAK_REDIS_CLUSTER", cluster)];
        match (read(&[&local[..], &settings].concat()), fault) {
            (Ok(config), None) => {
                let CacheConfig::Redis { identity, .. } = &config.cache else { panic!("{:?}", config.cache) };
                assert_eq!(identity.is_some(), !url.contains("127.0.0.1"), "{url}");
                assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
            }
            (Err(faults), Some(fault)) => {
                assert!(matches!(&faults.0[..], [one] if one.starts_with(fault)), "{faults:?}");
            }
            (read, fault) => panic!("{read:?} is not {fault:?}"),
        }
    };
    check("rediss://shop.redis.azure.net:10000", "on", None);
    check("redis://:hunter2@127.0.0.1:6379", "", None);
    check("redis://127.0.0.1:6379", "off", None);
    check("redis://shop.example:6379", "", Some("OFFPEAK_REDIS_URL is without TLS"));
    check("rediss://:hunter2@shop.example:6380", "", Some("OFFPEAK_REDIS_URL has a password"));
    check("https://shop.example", "", Some("OFFPEAK_REDIS_URL is not rediss"));
    check("", "", Some("OFFPEAK_REDIS_URL is missing"));
    check("redis://127.0.0.1", "maybe", Some("OFFPEAK_REDIS_CLUSTER is `maybe`"));
}

#[test]
fn objects_take_an_identity_and_on_this_machine_a_key() {
    let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_OBJECTS", "azure")];
    let check = |settings: &[(&str, &str)], fault: Option<&str>| match (read(&[&local, settings].concat()), fault) {
        (Ok(config), None) => {
            let ObjectsConfig::Azure { container, .. } = &config.objects else { panic!("{:?}", config.objects) };
            assert_eq!(container, "offpeak");
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        }
        (Err(faults), Some(fault)) => {
            assert!(matches!(&faults.0[..], [one] if one.starts_with(fault)), "{faults:?}");
        }
        (read, fault) => panic!("{read:?} is not {fault:?}"),
    };
    let (cloud, here) = ("https://shop.blob.core.windows.net/", "http://127.0.0.1:10000/devstoreaccount1");
    let (endpoint, key) = ("OFFPEAK_OBJECTS_ENDPOINT", ("OFFPEAK_OBJECTS_KEY", "hunter2"));
    check(&[(endpoint, cloud)], None);
    check(&[(endpoint, here), key], None);
    check(&[(endpoint, cloud), key], Some("OFFPEAK_OBJECTS_KEY is for an emulator"));
    check(&[(endpoint, here)], Some("OFFPEAK_OBJECTS_ENDPOINT is not https"));
    check(&[("OFFPEAK_OBJECTS_CONTAINER", "")], Some("OFFPEAK_OBJECTS_ENDPOINT is missing"));
}

#[test]
fn stripe_needs_its_key_and_the_secrets_of_its_webhook() {
    let settings = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d"), ("OFFPEAK_PAYMENTS", "stripe")];
    let faults = read(&settings).unwrap_err().0;
    assert_eq!(faults.len(), 2, "{faults:?}");
    let secrets = [("OFFPEAK_STRIPE_SECRET_KEY", "sk_test_1"), ("OFFPEAK_STRIPE_WEBHOOK_SECRETS", "whsec_1, whsec_2")];
    let config = read(&[&settings[..], &secrets[..]].concat()).unwrap();
    let PaymentsConfig::Stripe { url, secrets, .. } = &config.payments else { panic!("{:?}", config.payments) };
    assert_eq!((url.as_str(), secrets.len()), ("https://api.stripe.com/", 2));
    assert!(!format!("{config:?}").contains("_1"), "{config:?}");
}

#[test]
fn a_wrong_value_is_named_and_a_secret_is_not_shown() {
    let faults = read(&[
        ("OFFPEAK_MODE", "cloud"),
        ("OFFPEAK_STORE", "oracle"),
        ("OFFPEAK_PAYMENTS", "sandbox"),
        ("OFFPEAK_MAIL", "files"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "x"),
    ])
    .unwrap_err()
    .0;
    for part in [
        "OFFPEAK_MODE is `cloud`",
        "OFFPEAK_STORE is `oracle`",
        "FUNCTIONS_CUSTOMHANDLER_PORT is `x`",
        "OFFPEAK_PAYMENTS is `sandbox`, which",
        "OFFPEAK_MAIL is `files`, which",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
    assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "(secret)");
}

#[test]
fn rate_limits_are_off_on_one_machine_and_elsewhere_need_to_know_the_proxies() {
    let limits = |settings: &[(&str, &str)]| {
        let local = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", "d")];
        read(&[&local[..], settings].concat()).map(|it| it.rate_limits)
    };
    let set = |text| ("OFFPEAK_RATE_LIMITS", text);
    assert_eq!(limits(&[]).unwrap(), None);
    assert_eq!(limits(&[set("off")]).unwrap(), None);
    let some = limits(&[set("write=7, read=9"), ("OFFPEAK_FORWARDED_HOPS", "2")]).unwrap();
    assert_eq!(some, Some(RateLimitConfig { read: 9, write: 7, guess: 20, hops: 2 }));
    for bad in ["on", "write", "write=0", "write=-1", "sometimes=3"] {
        assert!(limits(&[set(bad)]).unwrap_err().0[0].starts_with("OFFPEAK_RATE_LIMITS has"), "{bad}");
    }
    assert!(limits(&[set("read=1"), ("OFFPEAK_FORWARDED_HOPS", "0")]).is_err());
    let cloud = |settings: &[(&str, &str)]| read(settings).unwrap_err().0.join("\n");
    assert!(cloud(&[]).contains("OFFPEAK_FORWARDED_HOPS is missing"));
    assert!(!cloud(&[set("off")]).contains("OFFPEAK_FORWARDED_HOPS"));
}
