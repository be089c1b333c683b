import assert from 'node:assert/strict';
import type { DescribedEndpoint } from '../../src/management-api/openapi.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import { codeIn } from '../support/smtp-sink.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import type { ApiWorld, CallOptions, Person } from './api-world.ts';

/** A request as the documentation shows it, and as it succeeds. */
export interface ValidRequest {
  method: string;
  path: string;
  options: CallOptions;
}

type Example = Record<string, unknown>;

interface Making {
  mailWorld: ApiMailWorld;
  world: ApiWorld;
  email: string;
  /** As documented. */
  body: Example;
  person: () => Promise<Person>;
}

/** What has to be there before, and what no documentation can know: ids, tokens and codes. */
type Maker = (making: Making) => Promise<Partial<CallOptions> & { params?: Record<string, string> }>;

const account: Maker = async ({ person }) => {
  const { id, token } = await person();
  return { token, params: { id, user_id: id } };
};
const byAdministrator =
  (prepare: (making: Making, id: string) => Promise<unknown> = async () => undefined): Maker =>
  async (making) => {
    const { token } = await making.world.person({ isAdministrator: true });
    const { id } = await making.person();
    await prepare(making, id);
    return { token, params: { id }, headers: { 'if-match': '*' } };
  };
const signIn: Maker = async ({ world, mailWorld, email }) => {
  await mailWorld.app.services.users.create(world.actor, { email, password: GOOD_PASSWORD });
  return {};
};
const askForReset: Maker = async ({ world, mailWorld, email }) => {
  await mailWorld.app.services.users.create(world.actor, { email });
  return {};
};
const codeOf =
  (path: string): Maker =>
  async ({ world, mailWorld, email, body }) => {
    const before = mailWorld.sink.mails.length;
    const { status, body: sent } = await world.call('POST', path, { body: { email } });
    assert.equal(status, 202);
    const code = codeIn(await mailWorld.sink.mailTo(email, before));
    return { body: { ...body, request_token: sent.request_token, code } };
  };
const nothing: Maker = async () => ({});

const MAKERS: Readonly<Record<string, Maker>> = {
  login: signIn,
  token: signIn,
  refresh: async ({ person }) => ({ body: { refresh_token: (await person()).refreshToken } }),
  logout: account,
  register: byAdministrator(),
  signUp: nothing,
  async resendVerification({ world, email, body }) {
    const { body: sent } = await world.call('POST', '/auth/signup', { body: { email } });
    return { body: { ...body, request_token: sent.request_token } };
  },
  verifyEmail: codeOf('/auth/signup'),
  forgotPassword: askForReset,
  initiatePasswordReset: askForReset,
  async resetPassword(making) {
    await askForReset(making);
    return codeOf('/auth/forgot-password')(making);
  },
  async completePasswordReset(making) {
    await askForReset(making);
    return codeOf('/auth/password/reset/initiate')(making);
  },
  listSessions: account,
  async endSession({ world, person }) {
    const { email, token } = await person();
    await world.login(email);
    const { body } = await world.call('GET', '/auth/sessions', { token });
    const other = body.sessions.find((one: { is_current: boolean }) => !one.is_current);
    return { token, params: { id: other.id } };
  },
  validateToken: async ({ world }) => ({ as: world.service }),
  async authorize({ world, person, body }) {
    return { as: world.service, body: { ...body, user_id: (await person()).id } };
  },
  me: account,
  getRoles: account,
  getPermissions: account,
  getUserContext: account,
  recordActivity: account,
  updateOwnProfile: account,
  getPreferences: account,
  updatePreferences: account,
  listActivity: account,
  getDashboard: account,
  listUsers: byAdministrator(),
  createUser: byAdministrator(),
  getUser: account,
  updateUser: byAdministrator(),
  disableUser: byAdministrator(),
  enableUser: byAdministrator(({ world, mailWorld }, id) =>
    mailWorld.app.services.users.disable(world.actor, id),
  ),
  lockUser: byAdministrator(),
  unlockUser: byAdministrator(({ world, mailWorld }, id) =>
    mailWorld.app.services.users.lock(world.actor, id, { cause: 'administrator' }),
  ),
  deleteUser: byAdministrator(),
};

/**
 * @param email in the place of the documented one, where several requests go to one tenant
 * @throws for an operation that nobody has said here how to call
 */
export async function validRequest(
  mailWorld: ApiMailWorld,
  { method, path, description: { id, example, ifMatch } }: DescribedEndpoint,
  { world = mailWorld.world, email }: { world?: ApiWorld; email?: string } = {},
): Promise<ValidRequest> {
  const make = MAKERS[id];
  assert.ok(make, `valid-requests.ts does not say how to call ${id}`);
  const documented = { ...(example.body as Example | undefined) };
  if (email !== undefined && 'email' in documented) documented['email'] = email;
  const {
    params = {},
    headers,
    body,
    ...credentials
  } = await make({
    mailWorld,
    world,
    email: email ?? 'ana@example.com',
    body: documented,
    person: () => world.person(),
  });
  const query = new URLSearchParams(example.query as Record<string, string> | undefined).toString();
  const at = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(params[name]));
  return {
    method: method.toUpperCase(),
    path: query ? `${at}?${query}` : at,
    options: {
      ...credentials,
      ...(example.body ? { body: body ?? documented } : {}),
      ...(ifMatch && headers ? { headers } : {}),
    },
  };
}
