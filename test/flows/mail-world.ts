import type { Page } from 'playwright-core';
import { startPostbox } from '../support/mail-app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import type { SmtpSink } from '../support/smtp-sink.ts';
import { giveEmail, heading, openPage, startWorld } from './support.ts';
import type { Party, World } from './support.ts';

export interface MailWorld extends World {
  sink: SmtpSink;
  /** The code of the newest mail to an address, from those after the first so many. */
  codeTo(address: string, after?: number): Promise<string>;
}

/** A world whose mails arrive at a mail server. */
export async function startMailWorld(env: Record<string, string> = {}): Promise<MailWorld> {
  const { db, sink, ...postbox } = await startPostbox();
  const world = await startWorld({ db, env: { ...postbox.env, ...env } });
  return {
    ...world,
    sink,
    codeTo: async (address, after) => codeIn(await sink.mailTo(address, after)),
    async close() {
      await world.close();
      await postbox.close();
    },
  };
}

export async function giveCode(page: Page, code: string, button = 'Continue'): Promise<void> {
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: button, exact: true }).click();
}

/** From the app's sign-in, by a link of the password's page, to the page that asks for the mailed code. */
export async function askForCode(
  world: World,
  way: { link: string; title: string },
  options: Parameters<typeof openPage>[0] = {},
): Promise<{ page: Page; party: Party }> {
  const [page, party] = [await openPage(options), await world.party()];
  await party.start(page);
  await giveEmail(page, party.user.email);
  await heading(page, 'Enter your password');
  await page.getByRole('link', { name: way.link }).click();
  await heading(page, way.title);
  await page.getByRole('button', { name: 'Send code' }).click();
  await heading(page, 'Check your email');
  return { page, party };
}

/** At the end of a reset. Whoever is on the way to an app goes on to it. */
export async function giveNewPassword(page: Page, password: string): Promise<void> {
  await heading(page, 'Choose a new password');
  await page.getByLabel('New password').fill(password);
  await page.getByRole('button', { name: 'Save and sign in' }).click();
}
