import type { Mailbox } from './mail.ts';

const NAMED = /^(?<name>[^<>]*)<(?<address>[^<>\s]+)>$/;

/** A sender as the configuration and tenants write it: `Acme <no-reply@acme.com>`, or the address alone. */
export function parseMailbox(text: string): Mailbox {
  const { name, address } = NAMED.exec(text.trim())?.groups ?? {};
  if (address === undefined) return { name: '', address: text.trim() };
  return { name: (name ?? '').trim().replace(/^"(.*)"$/, '$1'), address };
}
