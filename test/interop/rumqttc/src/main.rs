//! Checks with rumqttc (3.1.1 and 5). Prints `ok NAME` or `fail NAME: WHY`.
//!
//!     rumqttc-checks HOST PORT USERNAME PASSWORD UNIQUE

use std::env::args;
use std::time::Duration;

const MESSAGES: usize = 100;
const LIMIT: Duration = Duration::from_secs(20);

macro_rules! checks {
    ($version:ident, $($path:tt)*) => {
        mod $version {
            use super::{Settings, LIMIT, MESSAGES};
            use $($path)*::{Client, Connection, Event, MqttOptions};
            use $($path)*::mqttbytes::QoS;

            pub fn options(settings: &Settings, name: &str, clean: bool) -> MqttOptions {
                let mut options = MqttOptions::new(name, &settings.host, settings.port);
                options.set_credentials(&settings.username, &settings.password);
                options.set_keep_alive(super::Duration::from_secs(30));
                super::$version(&mut options, clean);
                options
            }

            /// What came next that `wanted` wants.
            fn next<T>(connection: &mut Connection, wanted: impl Fn(&Event) -> Option<T>) -> Result<T, String> {
                loop {
                    match connection.recv_timeout(LIMIT) {
                        Ok(Ok(event)) => {
                            if let Some(value) = wanted(&event) {
                                return Ok(value);
                            }
                        }
                        other => return Err(format!("{other:?}")),
                    }
                }
            }

            fn open(settings: &Settings, name: &str, clean: bool) -> Result<(Client, Connection, bool), String> {
                let (client, mut connection) = Client::new(options(settings, name, clean), MESSAGES * 2);
                let present = next(&mut connection, |event| super::connack!($version, event))?;
                Ok((client, connection, present))
            }

            fn subscribe(client: &Client, connection: &mut Connection, filter: &str) -> Result<(), String> {
                client.subscribe(filter, QoS::ExactlyOnce).map_err(|e| e.to_string())?;
                next(connection, |event| super::suback!($version, event))
            }

            pub fn every_qos(settings: &Settings, unique: &str) -> Result<(), String> {
                let (client, mut connection, _) = open(settings, unique, true)?;
                subscribe(&client, &mut connection, unique)?;
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    for n in 0..MESSAGES {
                        client.publish(unique, qos, false, n.to_string()).map_err(|e| e.to_string())?;
                    }
                    for n in 0..MESSAGES {
                        let payload = next(&mut connection, |event| super::payload!($version, event))?;
                        if payload != n.to_string().as_bytes() {
                            return Err(format!("expected {n} at {qos:?}, got {payload:?}"));
                        }
                    }
                }
                Ok(())
            }

            pub fn resume(settings: &Settings, unique: &str) -> Result<(), String> {
                let name = format!("{unique}-s");
                let (client, mut connection, _) = open(settings, &name, false)?;
                subscribe(&client, &mut connection, unique)?;
                drop(connection); // the network fails
                let (publisher, mut publishing, _) = open(settings, &format!("{unique}-p"), true)?;
                for n in 0..MESSAGES {
                    publisher.publish(unique, QoS::AtLeastOnce, false, n.to_string()).map_err(|e| e.to_string())?;
                }
                for _ in 0..MESSAGES {
                    next(&mut publishing, |event| super::puback!($version, event))?;
                }
                let (_again, mut connection, present) = open(settings, &name, false)?;
                if !present {
                    return Err("no session present".to_string());
                }
                for n in 0..MESSAGES {
                    let payload = next(&mut connection, |event| super::payload!($version, event))?;
                    if payload != n.to_string().as_bytes() {
                        return Err(format!("expected {n}, got {payload:?}"));
                    }
                }
                Ok(())
            }
        }
    };
}

macro_rules! connack {
    (v4, $event:expr) => {
        match $event {
            rumqttc::Event::Incoming(rumqttc::Packet::ConnAck(ack)) => Some(ack.session_present),
            _ => None,
        }
    };
    (v5, $event:expr) => {
        match $event {
            rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::ConnAck(ack)) => Some(ack.session_present),
            _ => None,
        }
    };
}

macro_rules! suback {
    (v4, $event:expr) => {
        matches!($event, rumqttc::Event::Incoming(rumqttc::Packet::SubAck(_))).then_some(())
    };
    (v5, $event:expr) => {
        matches!($event, rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::SubAck(_))).then_some(())
    };
}

macro_rules! puback {
    (v4, $event:expr) => {
        matches!($event, rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))).then_some(())
    };
    (v5, $event:expr) => {
        matches!($event, rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::PubAck(_))).then_some(())
    };
}

macro_rules! payload {
    (v4, $event:expr) => {
        match $event {
            rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) => Some(publish.payload.to_vec()),
            _ => None,
        }
    };
    (v5, $event:expr) => {
        match $event {
            rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::Publish(publish)) => Some(publish.payload.to_vec()),
            _ => None,
        }
    };
}

use {connack, payload, puback, suback};

pub struct Settings {
    host: String,
    port: u16,
    username: String,
    password: String,
}

fn v4(options: &mut rumqttc::MqttOptions, clean: bool) {
    options.set_clean_session(clean);
}

fn v5(options: &mut rumqttc::v5::MqttOptions, clean: bool) {
    options.set_clean_start(clean);
    if !clean {
        let mut properties = rumqttc::v5::mqttbytes::v5::ConnectProperties::new();
        properties.session_expiry_interval = Some(300);
        options.set_connect_properties(properties);
    }
}

mod bytes4 {
    pub use rumqttc::{Client, Connection, Event, MqttOptions};
    pub mod mqttbytes {
        pub use rumqttc::QoS;
    }
}

checks!(v4, crate::bytes4);
checks!(v5, rumqttc::v5);

fn main() {
    let given: Vec<String> = args().collect();
    let settings = Settings {
        host: given[1].clone(),
        port: given[2].parse().expect("a port"),
        username: given[3].clone(),
        password: given[4].clone(),
    };
    type Check = fn(&Settings, &str) -> Result<(), String>;
    let checks: [(&str, Check); 4] = [
        ("3.1.1, each QoS, in order", v4::every_qos),
        ("5, each QoS, in order", v5::every_qos),
        ("3.1.1, a session keeps what came meanwhile", v4::resume),
        ("5, a session keeps what came meanwhile", v5::resume),
    ];
    for (i, (name, check)) in checks.iter().enumerate() {
        match check(&settings, &format!("{}-{i}", given[5])) {
            Ok(()) => println!("ok {name}"),
            Err(why) => println!("fail {name}: {why}"),
        }
    }
    println!("@end");
}
