//! How a NOTIFICATION is told.

use injectors::speaker::message::Notification;

#[test]
fn a_notification_is_told_in_the_words_of_the_rfcs() {
    let told = |code, subcode, data: &[u8]| {
        let data = data.to_vec();
        Notification {
            code,
            subcode,
            data,
        }
        .to_string()
    };
    assert_eq!(told(4, 0, &[]), "Hold Timer Expired (4/0)");
    assert_eq!(
        told(6, 2, b"\x08good\nbye"),
        "Cease, Administrative Shutdown (6/2): \"good\\nbye\""
    );
    assert_eq!(
        told(6, 9, b"\x06\x04\x04soon"),
        "Cease, Hard Reset (6/9): \"soon\""
    );
    assert_eq!(
        told(1, 2, &[0, 18]),
        "Message Header Error, Bad Message Length (1/2), data 0012"
    );
    assert_eq!(told(3, 99, &[]), "UPDATE Message Error (3/99)");
    assert_eq!(told(200, 1, &[]), "unregistered error (200/1)");
    assert_eq!(
        told(6, 2, &[200, 1]),
        "Cease, Administrative Shutdown (6/2), data c801"
    );
    assert!(told(2, 7, &[0; 17]).ends_with("00... (17 octets)"));
}
