//! The core within two endpoints, network, failures and application: every state that can be reached.
