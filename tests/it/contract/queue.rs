//! What a queue promises. Times are short and real: Azurite keeps its own clock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use concord::store::{Call, Error, MAX_MESSAGE, Message, Queue, Stores};

super::everywhere! {
    a_message_comes_back_as_it_was_put,
    a_taken_message_is_hidden_and_comes_again,
    a_delayed_message_is_not_there_yet,
    only_the_last_receipt_removes,
    up_to_32_messages_are_taken_at_once,
    a_message_holds_48_kib_and_no_more,
    queues_are_apart,
    queue_requests_are_counted,
}

const LONG: Duration = Duration::from_mins(5);

async fn put(queue: &dyn Queue, body: &[u8]) {
    queue.put(body, Duration::ZERO).await.unwrap();
}

async fn take(queue: &dyn Queue) -> Vec<Message> {
    queue.take(32, LONG).await.unwrap()
}

/// Takes one message as soon as there is one.
async fn eventually(queue: &dyn Queue) -> Message {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(message) = take(queue).await.pop() {
            return message;
        }
        assert!(Instant::now() < deadline, "no message came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_message_comes_back_as_it_was_put(stores: &Stores) {
    let queue = &*stores.work;
    let bodies = [&b"{\"a\": \"<\xc3\xa6> & 'x'\"}"[..], &[0, 1, 255, 10, 13]];
    for body in bodies {
        put(queue, body).await;
    }
    let mut taken = take(queue).await;
    taken.sort_by_key(|message| message.body.len());
    assert_eq!(
        taken.iter().map(|message| &message.body[..]).collect::<Vec<_>>(),
        [bodies[1], bodies[0]]
    );
    let age = jiff::Timestamp::now().duration_since(taken[0].inserted);
    assert!(age.as_secs().abs() < 60, "{age}");
    assert_eq!((taken[0].taken, taken[1].taken), (1, 1));
    assert_ne!(taken[0].id, taken[1].id);
}

async fn a_taken_message_is_hidden_and_comes_again(stores: &Stores) {
    let queue = &*stores.work;
    put(queue, b"again").await;
    let first = queue.take(1, Duration::from_secs(1)).await.unwrap().remove(0);
    assert_eq!(take(queue).await, []);
    assert_eq!(queue.depth().await.unwrap(), 1, "hidden messages count");
    let second = eventually(queue).await;
    assert_eq!((&second.id, second.taken, &second.body), (&first.id, 2, &first.body));
    assert_ne!(second.receipt, first.receipt);
}

async fn a_delayed_message_is_not_there_yet(stores: &Stores) {
    let queue = &*stores.work;
    queue.put(b"later", Duration::from_secs(1)).await.unwrap();
    queue.put(b"in a week", Duration::from_hours(7 * 24)).await.unwrap();
    assert_eq!(take(queue).await, []);
    assert_eq!(queue.depth().await.unwrap(), 2);
    assert_eq!(&eventually(queue).await.body[..], b"later");
    assert_eq!(take(queue).await, []);
}

async fn only_the_last_receipt_removes(stores: &Stores) {
    let queue = &*stores.work;
    put(queue, b"x").await;
    let stale = queue.take(1, Duration::from_secs(1)).await.unwrap().remove(0);
    let fresh = eventually(queue).await;
    queue.remove(&stale).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), 1, "another holds it now");
    queue.remove(&fresh).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), 0);
    queue.remove(&fresh).await.unwrap();
    queue.remove(&stale).await.unwrap();
}

async fn up_to_32_messages_are_taken_at_once(stores: &Stores) {
    let queue = &*stores.work;
    for i in 0..40_u8 {
        put(queue, &[i]).await;
    }
    assert_eq!(queue.depth().await.unwrap(), 40);
    assert_eq!(queue.take(3, LONG).await.unwrap().len(), 3);
    assert_eq!(
        (take(queue).await.len(), take(queue).await.len(), take(queue).await.len()),
        (32, 5, 0)
    );
}

async fn a_message_holds_48_kib_and_no_more(stores: &Stores) {
    let queue = &*stores.work;
    let full = vec![b'x'; MAX_MESSAGE];
    put(queue, &full).await;
    assert_eq!(take(queue).await[0].body, Bytes::from(full));
    let answer = queue.put(&vec![b'x'; MAX_MESSAGE + 1], Duration::ZERO).await;
    assert!(matches!(answer, Err(Error::TooLarge { .. })), "{answer:?}");
}

async fn queues_are_apart(stores: &Stores) {
    put(&*stores.work, b"work").await;
    put(&*stores.poisoned, b"poison").await;
    assert_eq!(&take(&*stores.poisoned).await[0].body[..], b"poison");
    assert_eq!(&take(&*stores.work).await[0].body[..], b"work");
}

async fn queue_requests_are_counted(stores: &Stores) {
    let queue = &*stores.work;
    put(queue, b"x").await;
    let message = take(queue).await.remove(0);
    queue.remove(&message).await.unwrap();
    queue.depth().await.unwrap();
    for call in [Call::Put, Call::Take, Call::Remove, Call::Depth] {
        assert_eq!(stores.counters.of(call), 1, "{call:?}");
    }
}
