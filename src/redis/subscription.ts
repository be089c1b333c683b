import type { Redis } from './redis.ts';

/**
 * Messages between replicas: at most once, to whoever listens at the moment. They make something happen
 * sooner that would happen anyway, so a lost one costs time and nothing else.
 */
export async function publish(redis: Redis, channel: string, message: string): Promise<void> {
  await redis.attempt((client) => client.publish(channel, message));
}

/**
 * @param listener.onMessage called for each message
 * @param listener.onGap called whenever messages may have been missed: after the connection was away
 */
export function subscribe(
  redis: Redis,
  channel: string,
  { onMessage, onGap }: { onMessage: (message: string) => void; onGap: () => void },
): void {
  const connection = redis.connect('subscriber');
  connection.on('message', (_channel: string, message: string) => onMessage(message));
  connection.on('ready', () => {
    // A failure ends the connection, and the next one tries again.
    connection.subscribe(channel).then(onGap, () => connection.disconnect(true));
  });
}
