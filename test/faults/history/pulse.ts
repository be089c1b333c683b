import { setTimeout as delay } from 'node:timers/promises';
import { createHttpClient } from '../support/http-client.ts';
import type { ServerProcess } from '../support/server-process.ts';
import type { Recorder } from './record.ts';

/** From one beat to the next, and how late one must be to be recorded. */
const BEAT_MS = 100;
const REMARKABLE_MS = 50;

/**
 * Asks every server ten times a second for the next best thing to nothing, and records how late these answers
 * were, and the timers before them: by that much any answer is late at the same moment, whatever the server does.
 * @returns ends it
 */
export function startPulse(servers: readonly ServerProcess[], recorder: Recorder): () => Promise<void> {
  const http = createHttpClient();
  let isOver = false;

  async function beat({ url }: ServerProcess, server: number): Promise<void> {
    while (!isOver) {
      const invokedAt = recorder.now();
      await delay(BEAT_MS);
      const { kind } = await http.send({ url: `${url}/livez` });
      const lateMs = recorder.now() - invokedAt - BEAT_MS;
      // A server that is gone answers nobody, late or not.
      if (kind !== 'answered' || lateMs < REMARKABLE_MS) continue;
      recorder.add({ worker: 0, server, invokedAt, outcome: 'ok', detail: '', kind: 'late-beat', lateMs });
    }
  }

  const beating = Promise.all(servers.map(beat));
  return async () => {
    isOver = true;
    await beating;
    http.close();
  };
}
