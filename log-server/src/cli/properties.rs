//! The list of properties.

use log_server::LogServerConfig;

/// Prints all properties with what they do.
pub(super) fn print() {
    for property in LogServerConfig::properties() {
        println!("{}\n    {}", property.name, property.doc);
    }
    println!("users.NAME\n    Our own. The password of a user, who can log in by every mechanism.");
    println!(
        "listener.name.LISTENER.plain.sasl.jaas.config\n    Users in Kafka's form: ...PlainLoginModule required \
         user_NAME=\"PASSWORD\";"
    );
    println!(
        "log.*, message.max.bytes, compression.type, ...\n    Kafka's defaults for topics, for example \
         log.segment.bytes."
    );
}
