import type { Page } from 'playwright-core';
import { migratedDatabase } from '../support/database.ts';
import { codeIn, startSmtpSink } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { startWorld } from './support.ts';
import type { World } from './support.ts';

export interface MailWorld extends World {
  sink: SmtpSink;
  /** The code of the newest mail to an address, from those after the first so many. */
  codeTo(address: string, after?: number): Promise<string>;
}

/** A world whose mails arrive at a mail server, on a database whose mails nobody else delivers. */
export async function startMailWorld(env: Record<string, string> = {}): Promise<MailWorld> {
  const own = await migratedDatabase();
  const sink = await startSmtpSink();
  const world = await startWorld({ db: own.db, env: { SMTP_URL: sink.url, ...env } });
  return {
    ...world,
    sink,
    codeTo: async (address, after) => codeIn(await sink.mailTo(address, after)),
    async close() {
      await world.close();
      await sink.close();
      await own.drop();
    },
  };
}

export async function giveCode(page: Page, code: string, button = 'Continue'): Promise<void> {
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: button, exact: true }).click();
}
