import { setTimeout as delay } from 'node:timers/promises';
import { createBrowserOperations } from '../history/browser-operations.ts';
import type { Session } from '../history/browser-operations.ts';
import { createProtocolOperations } from '../history/protocol-operations.ts';
import { createRecorder } from '../history/record.ts';
import { at } from '../history/slots.ts';
import type { App, World } from '../history/world.ts';

const MOST_TRIES = 5;
const RETRY_MS = 1_000;

/** What an app holds after a sign-in. */
export interface Held {
  app: App;
  session: Session;
  refresh: string;
  access: string;
}

/** Signs people in, each with an app, and redeems their codes. */
export async function holdFamilies(world: World, count: number): Promise<Held[]> {
  const recorder = createRecorder();
  const browsers = createBrowserOperations(world, recorder);
  const protocol = createProtocolOperations(world, recorder);
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const caller = { worker: index, server: index };
      const app = at(world.apps, index);
      const signIn = () => browsers.signIn(caller, at(world.users, index), app, false);
      let { record, session } = await signIn();
      // Where many sign in at once on a slow machine some are told to come again.
      for (let tries = 1; record.outcome === 'unavailable' && tries < MOST_TRIES; tries += 1) {
        await delay(RETRY_MS);
        ({ record, session } = await signIn());
      }
      const { access, refresh, detail } = await protocol.exchange(caller, app, record.code ?? '');
      if (!session || !access || !refresh) throw new Error(`no tokens: ${record.detail}, ${detail}`);
      return { app, session, access, refresh };
    }),
  );
}
