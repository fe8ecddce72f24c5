//! Clients that take what they can and give nothing, while a good one works.

use std::time::{Duration, Instant};

use super::*;

/// How long any condition may take to become true.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether the server closes the connection, and it gives nothing before.
async fn is_closed(mut stream: TcpStream) -> bool {
    let mut byte = [0];
    matches!(tokio::time::timeout(LIMIT, stream.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
}

async fn slowest_of(client: &mut Client<TcpStream>, requests: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..requests {
        let began = Instant::now();
        client.call(&metadata(), 9).await.unwrap();
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

/// Opens a thousand connections: half of them say nothing, the others a byte now and then of a request that they
/// announce as a large one. Tells when all are there.
async fn harass(address: SocketAddr, all_there: tokio::sync::oneshot::Sender<()>) {
    let mut clients = Vec::new();
    for number in 0..1000 {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        if number % 2 == 0 {
            let _ = stream.write_all(&[0, 0x7f, 0, 0]).await;
        }
        clients.push(stream);
    }
    let _ = all_there.send(());
    loop {
        for stream in clients.iter_mut().step_by(2) {
            let _ = stream.write_all(&[0]).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_client_works_among_a_thousand_bad_ones() {
    let limits = Limits { max_connections: 300, ..Limits::default() };
    let server = LogServer::start(config().limits(limits)).await.unwrap();
    let address = server.address();
    let mut good = connect(address).await;
    let alone = slowest_of(&mut good, 200).await;
    let (all_there, mut are_there) = tokio::sync::oneshot::channel();
    let bad = tokio::spawn(harass(address, all_there));
    let (mut slowest, mut rounds) = (Duration::ZERO, 0);
    // While they come, and some rounds more.
    while rounds < 20 {
        rounds += usize::from(are_there.try_recv().is_ok() || rounds > 0);
        slowest = slowest.max(slowest_of(&mut good, 20).await);
        // Newcomers find room as well, although there are more connections than may be open.
        let mut newcomer = connect(address).await;
        newcomer.call(&metadata(), 9).await.unwrap();
    }
    bad.abort();
    assert!(slowest < alone * 2 + Duration::from_secs(1), "{slowest:?} among them, {alone:?} alone");
    drop(good);
    server.shutdown().await.unwrap();
}

async fn server_with(limits: Limits) -> LogServer {
    let config = config()
        .user("a", "b")
        .limits(limits)
        .listener(Listener::new(SecurityProtocol::Plaintext, "127.0.0.1", 0))
        .listener(Listener::new(SecurityProtocol::SaslPlaintext, "127.0.0.1", 0));
    LogServer::start(config).await.unwrap()
}

#[tokio::test]
async fn who_is_too_slow_is_closed() {
    let short = Duration::from_millis(150);
    let setup = server_with(Limits { setup_timeout: short, ..Limits::default() }).await;
    let silent = TcpStream::connect(setup.address_of("SASL_PLAINTEXT").unwrap()).await.unwrap();
    assert!(is_closed(silent).await, "it has not logged in");
    let request = server_with(Limits { request_timeout: short, ..Limits::default() }).await;
    let mut slow = connect(request.address()).await;
    slow.call(&metadata(), 9).await.unwrap();
    slow.stream.write_all(&[0, 0, 1]).await.unwrap();
    assert!(is_closed(slow.stream).await, "it has not finished its request");
    let idle = server_with(Limits { idle_timeout: short, ..Limits::default() }).await;
    let mut client = connect(idle.address()).await;
    client.call(&metadata(), 9).await.unwrap();
    assert!(is_closed(client.stream).await, "it has not sent a request");
    for server in [setup, request, idle] {
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn an_address_has_its_share_and_a_stranger_sends_no_large_request() {
    let limits =
        Limits { max_connections_per_address: 3, max_login_request_bytes: 2000, ..Limits::default() };
    let server = server_with(limits).await;
    let address = server.address_of("SASL_PLAINTEXT").unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = connect(address).await;
        assert_eq!(client.log_in("a", "b").await.unwrap(), 0);
        clients.push(client);
    }
    assert!(is_closed(TcpStream::connect(address).await.unwrap()).await);
    // Who has logged in may send what the server takes.
    let topics = (0..300).map(|_| {
        metadata_request::MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("a topic"))))
    });
    let large = MetadataRequest::default().with_topics(Some(topics.collect()));
    assert_eq!(clients[0].call(&large, 9).await.unwrap().topics.len(), 300);
    clients.pop();
    let began = Instant::now();
    let mut stranger = loop {
        let mut stranger = connect(address).await;
        if stranger.call(&ApiVersionsRequest::default(), 0).await.is_ok() {
            break stranger;
        }
        assert!(began.elapsed() < LIMIT, "the place of a closed connection is free again");
    };
    stranger.stream.write_all(&3000i32.to_be_bytes()).await.unwrap();
    assert!(is_closed(stranger.stream).await);
    drop(clients);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn requests_wait_for_memory_and_go_on_when_it_comes_back() {
    let limits = Limits {
        max_request_bytes: 256 * 1024,
        max_request_memory_bytes: 256 * 1024,
        request_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = server_with(limits).await;
    let mut hog = connect(server.address()).await;
    hog.call(&metadata(), 9).await.unwrap();
    // Most of a large request is held, and the rest does not come.
    hog.stream.write_all(&250_000i32.to_be_bytes()).await.unwrap();
    hog.stream.write_all(&[0; 200_000]).await.unwrap();
    let mut other = connect(server.address()).await;
    other.call(&metadata(), 9).await.unwrap();
    let name = StrBytes::from_string("x".repeat(10_000));
    let topics = (0..20)
        .map(|_| metadata_request::MetadataRequestTopic::default().with_name(Some(TopicName(name.clone()))));
    let large = MetadataRequest::default().with_topics(Some(topics.collect()));
    let answered = tokio::time::timeout(LIMIT, other.call(&large, 9)).await.unwrap().unwrap();
    assert_eq!(answered.topics.len(), 20);
    drop(other);
    server.shutdown().await.unwrap();
}
