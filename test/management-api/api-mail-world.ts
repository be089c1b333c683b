import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import { startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld } from './api-world.ts';

/** The API of a server that sends mail, to a real mail server of its own. */
export interface ApiMailWorld {
  app: TestApp;
  sink: SmtpSink;
  world: ApiWorld;
  close: () => Promise<void>;
}

export async function createApiMailWorld(env: Record<string, string> = {}): Promise<ApiMailWorld> {
  // A database of its own: of several servers on one, each would deliver the mails of all.
  const own = await migratedDatabase();
  const sink = await startSmtpSink();
  const app = await startTestApp({ db: own.db, env: { SMTP_URL: sink.url, ...env } });
  return {
    app,
    sink,
    world: await createApiWorld(app),
    async close() {
      await app.close();
      await sink.close();
      await own.drop();
    },
  };
}

/** A production server that was given no mail server. */
export async function withoutMail(work: (world: ApiWorld, app: TestApp) => Promise<void>): Promise<void> {
  const app = await startTestApp({
    env: {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://auth.example.com',
      DATABASE_URL: 'postgresql://db.example.com/gatehouse',
    },
  });
  try {
    await work(await createApiWorld(app), app);
  } finally {
    await app.close();
  }
}
