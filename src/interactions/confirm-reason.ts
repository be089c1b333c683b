import { PORTAL_CLIENT_ID, PORTAL_PATH } from '../oidc/extensions/portal-client.ts';
import { textOf } from './interaction-context.ts';
import type { InteractionContext } from './interaction-context.ts';

/** What somebody who is signed in has to prove again for; the texts are `interactions.confirm.…`. */
export type ConfirmReason = 'delete' | 'data' | 'email' | 'first_password';

const REASONS: Readonly<Record<string, ConfirmReason>> = {
  '/data/delete': 'delete',
  '/data': 'data',
  '/email': 'email',
  '/email/change': 'email',
  '/security/first-password': 'first_password',
};
const DOWNLOAD = '/data/export/';

/** @returns null where only the app knows: the portal says by its `state` which page it goes on to */
export function confirmReason({
  app,
  interaction,
  tenantProvider,
}: InteractionContext): ConfirmReason | null {
  const root = `${tenantProvider.context.mountPath}${PORTAL_PATH}`;
  const state = textOf(interaction.params['state']);
  if (app.id !== PORTAL_CLIENT_ID || !state.startsWith(root)) return null;
  const path = state.slice(root.length);
  if (path.startsWith(DOWNLOAD)) return 'data';
  return Object.hasOwn(REASONS, path) ? (REASONS[path] ?? null) : null;
}
