//! Bells between nodes, through Redis pub/sub.

use std::{sync::Arc, time::Duration};

use fred::prelude::*;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use uuid::Uuid;

use super::local::Bells;
use crate::{
    Error,
    redis::{builder, unavailable},
};

/// Rings that may wait to be published; more collapse into the sweep of the other nodes.
const UNPUBLISHED: usize = 256;

/// Pause between tries to learn that the subscription stands, while Redis is away.
const RETRY: Duration = Duration::from_millis(200);

/// The shared half of a doorbell.
pub(super) struct RedisBell {
    outgoing: mpsc::Sender<String>,
    publisher: Client,
    subscriber: Client,
    listening: watch::Receiver<bool>,
    tasks: Vec<AbortHandle>,
}

impl RedisBell {
    pub(super) fn connect(url: &str, namespace: &str, bells: Arc<Bells>) -> Result<Self, Error> {
        let builder = builder(url)?;
        let publisher = builder.build().map_err(unavailable)?;
        let subscriber = builder.build().map_err(unavailable)?;
        let channel = format!("{namespace}:doorbell");
        // Told apart from other nodes' rings: one's own have rung already.
        let node = Uuid::now_v7().simple().to_string();
        let (outgoing, queued) = mpsc::channel(UNPUBLISHED);
        let (tell_listening, listening) = watch::channel(false);
        // Both connect in the background and for ever again.
        drop(publisher.connect());
        drop(subscriber.connect());
        let tasks = vec![
            tokio::spawn(publish(
                publisher.clone(),
                channel.clone(),
                node.clone(),
                queued,
            ))
            .abort_handle(),
            tokio::spawn(receive(subscriber.clone(), node, Arc::clone(&bells))).abort_handle(),
            tokio::spawn(keep_listening(
                subscriber.clone(),
                channel,
                bells,
                tell_listening,
            ))
            .abort_handle(),
        ];
        Ok(Self {
            outgoing,
            publisher,
            subscriber,
            listening,
            tasks,
        })
    }

    pub(super) fn ring(&self, topic: &str) {
        if self.outgoing.try_send(topic.to_owned()).is_err() {
            tracing::debug!(topic, "a bell was not passed on: too many wait for redis");
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.publisher.is_connected() && self.subscriber.is_connected() && *self.listening.borrow()
    }

    pub(super) async fn connected_within(&self, patience: Duration) -> bool {
        let mut listening = self.listening.clone();
        let both = async {
            self.publisher.wait_for_connect().await.is_ok()
                && listening.wait_for(|is| *is).await.is_ok()
        };
        tokio::time::timeout(patience, both).await.unwrap_or(false)
    }

    pub(super) async fn close(&self) {
        for task in &self.tasks {
            task.abort();
        }
        let _ = self.publisher.quit().await;
        let _ = self.subscriber.quit().await;
    }
}

impl Drop for RedisBell {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn publish(
    client: Client,
    channel: String,
    node: String,
    mut queued: mpsc::Receiver<String>,
) {
    while let Some(first) = queued.recv().await {
        let mut topics = std::collections::BTreeSet::from([first]);
        while let Ok(topic) = queued.try_recv() {
            topics.insert(topic);
        }
        if !client.is_connected() {
            continue;
        }
        for topic in topics {
            let sent: Result<i64, _> = client
                .publish(channel.as_str(), format!("{node}|{topic}"))
                .await;
            if let Err(error) = sent {
                tracing::debug!(topic, %error, "a bell was lost on its way to redis");
            }
        }
    }
}

async fn receive(client: Client, node: String, bells: Arc<Bells>) {
    let mut messages = client.message_rx();
    loop {
        match messages.recv().await {
            Ok(message) => {
                let text = message.value.as_string().unwrap_or_default();
                if let Some((from, topic)) = text.split_once('|')
                    && from != node
                {
                    bells.ring(topic);
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => bells.ring_all(),
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Subscribes, says so, and says when the connection is lost; after each return every bell rings once, because some may
/// have been missed.
async fn keep_listening(
    client: Client,
    channel: String,
    bells: Arc<Bells>,
    tell: watch::Sender<bool>,
) {
    let mut errors = client.error_rx();
    loop {
        let stands = client.wait_for_connect().await.is_ok()
            && client.subscribe(channel.as_str()).await.is_ok();
        if !stands {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        tell.send_replace(true);
        tracing::info!("the doorbell is shared through redis");
        bells.ring_all();
        // Any error of the connection: look again.
        let _ = errors.recv().await;
        tell.send_replace(false);
        tracing::warn!(
            "redis is away: bells ring in this process only, and work is found by sweeping"
        );
    }
}
