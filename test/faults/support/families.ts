import { createBrowserOperations } from '../history/browser-operations.ts';
import type { Session } from '../history/browser-operations.ts';
import { createProtocolOperations } from '../history/protocol-operations.ts';
import { createRecorder } from '../history/record.ts';
import { at } from '../history/slots.ts';
import type { App, World } from '../history/world.ts';

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
      const { record, session } = await browsers.signIn(caller, at(world.users, index), app, false);
      const { access, refresh, detail } = await protocol.exchange(caller, app, record.code ?? '');
      if (!session || !access || !refresh) throw new Error(`no tokens: ${record.detail}, ${detail}`);
      return { app, session, access, refresh };
    }),
  );
}
