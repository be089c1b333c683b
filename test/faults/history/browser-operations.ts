import { GOOD_PASSWORD } from '../../support/app.ts';
import { CODE_CHALLENGE, REDIRECT_URI } from '../../support/relying-party.ts';
import { createUserAgent } from '../../support/user-agent.ts';
import type { Page, UserAgent } from '../../support/user-agent.ts';
import { RequestFailed } from '../support/balancer.ts';
import type { Caller } from './protocol-operations.ts';
import { judge } from './protocol-operations.ts';
import type { HistoryRecord, OperationOutcome, Recorder, RecordOf } from './record.ts';
import type { App, Person, World } from './world.ts';

/** A browser from one sign-in to the sign-out. */
export interface Session {
  id: string;
  person: Person;
  agent: UserAgent;
}

interface Verdict {
  outcome: OperationOutcome;
  detail: string;
  code?: string;
}

/** What people do in their browsers; each leaves one record, however many requests it took. */
export function createBrowserOperations({ issuer, balancer }: World, recorder: Recorder) {
  let sessions = 0;

  return {
    /** Signs a person in with a new browser. @returns the session where that was acknowledged */
    async signIn(caller: Caller, person: Person, app: App, offline: boolean) {
      sessions += 1;
      // A browser's requests go to the servers in turn, as behind a load balancer that knows no sessions.
      const agent = createUserAgent((url, init) => balancer.fetch(url, init));
      const session: Session = { id: `s${sessions}`, person, agent };
      const record = await authorize(caller, session, app, { offline, signIn: true });
      return { record, session: record.outcome === 'ok' ? session : undefined };
    },

    /** Asks for a code with the session that there is; a session that is gone is a refusal. */
    authorize: (caller: Caller, session: Session, app: App, offline: boolean) =>
      authorize(caller, session, app, { offline, signIn: false }),

    /** @param onConfirm called right before the request that ends the session */
    async logout(caller: Caller, session: Session, onConfirm = () => {}): Promise<HistoryRecord> {
      const invokedAt = recorder.now();
      const { outcome, detail } = await attempt(async () => {
        const confirmation = await session.agent.get(`${issuer}/logout`);
        onConfirm();
        if (confirmation.status !== 200) return judgePage(confirmation);
        const answer = await session.agent.submit(confirmation, '/logout/confirm', { logout: 'yes' });
        if (answer.status === 303) return { outcome: 'ok', detail: '303' };
        // The session is gone, or a second confirmation page has replaced the first one.
        return answer.status === 400 ? { outcome: 'refused', detail: '400' } : judgePage(answer);
      });
      return recorder.add({ ...caller, invokedAt, outcome, detail, kind: 'logout', session: session.id });
    },
  };

  async function authorize(
    caller: Caller,
    { id, person, agent }: Session,
    app: App,
    { offline, signIn }: { offline: boolean; signIn: boolean },
  ): Promise<RecordOf<'authorize'>> {
    const invokedAt = recorder.now();
    const prompt = offline ? 'consent' : signIn ? undefined : 'none';
    const verdict = await attempt(async () => {
      let page = await agent.follow(await agent.get(authorizationUrl(app, person, offline, prompt)), issuer);
      if (signIn && page.status === 200 && page.body.includes('name="password"')) {
        const answer = await agent.submit(page, '/password', { password: GOOD_PASSWORD });
        page = await agent.follow(answer, issuer);
      }
      return judgeArrival(page);
    });
    return recorder.add({
      ...caller,
      invokedAt,
      ...verdict,
      kind: 'authorize',
      session: id,
      user: person.id,
      app: app.clientId,
      offline,
      signIn,
    }) as RecordOf<'authorize'>;
  }

  function authorizationUrl(app: App, person: Person, offline: boolean, prompt: string | undefined): string {
    const params = new URLSearchParams({
      client_id: app.clientId,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: offline ? 'openid offline_access' : 'openid',
      code_challenge: CODE_CHALLENGE,
      code_challenge_method: 'S256',
      login_hint: person.email,
      ...(prompt ? { prompt } : {}),
    });
    return `${issuer}/authorize?${params.toString()}`;
  }
}

async function attempt(work: () => Promise<Verdict>): Promise<Verdict> {
  try {
    return await work();
  } catch (err) {
    if (err instanceof RequestFailed) return judge(err.outcome);
    return { outcome: 'broken', detail: err instanceof Error ? err.message.slice(0, 200) : String(err) };
  }
}

/** Back at the app with a code, or with a refusal; or still with us, asked to sign in. */
function judgeArrival(page: Page): Verdict {
  if (!page.location?.startsWith(REDIRECT_URI)) {
    const isSignIn = page.status === 200 && /name="(password|username)"/.test(page.body);
    return isSignIn ? { outcome: 'refused', detail: 'asked to sign in' } : judgePage(page);
  }
  const params = new URL(page.location).searchParams;
  const code = params.get('code');
  if (code) return { outcome: 'ok', detail: 'code', code };
  const error = params.get('error') ?? 'neither code nor error';
  const isRefusal = ['login_required', 'interaction_required', 'access_denied'].includes(error);
  return { outcome: isRefusal ? 'refused' : 'broken', detail: error };
}

function judgePage({ status, body, url, headers }: Page): Verdict {
  if (status === 503) return { outcome: 'unavailable', detail: '503' };
  // The account was closed while its owner was typing.
  if (status === 403) return { outcome: 'refused', detail: '403' };
  const title = /<title>([^<]*)/.exec(body)?.[1] ?? body.slice(0, 100);
  const detail = `${status} at ${new URL(url).pathname}: ${title.trim()}, reference ${headers.get('x-request-id')}`;
  return { outcome: 'broken', detail };
}
