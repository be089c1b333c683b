import assert from 'node:assert/strict';
import { startDemo } from './demo-fixture.ts';
import type { Running } from './demo-fixture.ts';
import { createVisitor } from './visitor.ts';

describe('demo application', () => {
  let demo: Running;

  beforeEach(async () => {
    demo = await startDemo();
  });

  afterEach(() => demo.close());

  async function signedIn() {
    const visitor = createVisitor();
    const page = await visitor.open(`${demo.demoUrl}/sign-in`);
    assert.equal(page.status, 200, page.html);
    return { visitor, page };
  }

  it('tells a newcomer whom to sign in as and where the password is', async () => {
    const { html, status } = await createVisitor().open(demo.demoUrl);

    assert.equal(status, 200);
    assert.match(html, /demo@example\.com/);
    assert.match(html, /\/data\/demo-user\.json/);
    assert.match(html, /href="\/demo\/sign-in"/);
  });

  it('sends PKCE S256, state, nonce and the resource, and nothing secret', async () => {
    const answer = await createVisitor().request(`${demo.demoUrl}/sign-in`);

    const { searchParams } = new URL(answer.headers.get('location') ?? '');
    assert.equal(answer.status, 303);
    assert.equal(searchParams.get('code_challenge_method'), 'S256');
    assert.equal(searchParams.get('code_challenge')?.length, 43);
    assert.ok(searchParams.get('state'));
    assert.ok(searchParams.get('nonce'));
    assert.equal(searchParams.get('response_type'), 'code');
    assert.equal(searchParams.get('resource'), `${demo.demoUrl}/api`);
    assert.equal(searchParams.has('code_verifier'), false);
  });

  it('shows claims, decoded tokens and that both verify, after a sign-in', async () => {
    const { page } = await signedIn();

    assert.equal(page.url, demo.demoUrl);
    assert.match(page.html, /ana@example\.com/);
    assert.equal(page.html.match(/verifies with the JWKS \(RS256, key peer-1\)/g)?.length, 2);
    assert.match(page.html, /at\+jwt/);
    assert.match(page.html, /greetings:read/);
  });

  it('escapes what the claims say', async () => {
    const { page } = await signedIn();

    assert.match(page.html, /Ana &lt;b&gt;Ito/);
    assert.doesNotMatch(page.html, /Ana <b>/);
  });

  it('never sends a token to the browser', async () => {
    const { visitor, page } = await signedIn();
    const refreshed = await visitor.submit(page, '/demo/refresh');
    const called = await visitor.submit(refreshed, '/demo/call-api');

    for (const { html } of [page, refreshed, called]) {
      assert.doesNotMatch(html, /eyJ[\w-]+\.eyJ/, 'a token as such');
      assert.match(html, /[\w-]{4}…[\w-]{4} \(43 characters\)/, 'the refresh token, masked');
    }
  });

  it('keeps only a random cookie, for its own path, out of reach of scripts', async () => {
    const answer = await createVisitor().request(`${demo.demoUrl}/sign-in`);

    const [cookie = ''] = answer.headers.getSetCookie();
    assert.match(cookie, /^gatehouse_demo_\d+=[\w-]{43}; path=\/demo; samesite=lax; httponly$/i);
  });

  it('changes the session id at sign-in', async () => {
    const visitor = createVisitor();
    await visitor.request(`${demo.demoUrl}/sign-in`);
    const before = visitor.cookies.get(`gatehouse_demo_${new URL(demo.demoUrl).port}`)?.value;

    await visitor.open(`${demo.demoUrl}/sign-in`);

    assert.notEqual(visitor.cookies.get(`gatehouse_demo_${new URL(demo.demoUrl).port}`)?.value, before);
  });

  it('works without scripts and forbids them', async () => {
    const { page } = await signedIn();

    const policy = page.headers.get('content-security-policy') ?? '';
    assert.match(policy, /^default-src 'none';/);
    assert.doesNotMatch(policy, /script-src|unsafe/);
    assert.ok(policy.includes(`form-action 'self' ${demo.peer.issuer}`));
    assert.doesNotMatch(page.html, /<script|style=| on\w+=/);
    assert.equal(page.headers.get('cache-control'), 'no-store');
  });

  it('shows what the sample API answers', async () => {
    const { visitor, page } = await signedIn();

    const called = await visitor.submit(page, '/demo/call-api');

    assert.match(called.html, /answered 200/);
    assert.match(called.html, /Hello from the sample API/);
  });

  it('refreshes and shows that access and refresh token changed', async () => {
    const { visitor, page } = await signedIn();

    const refreshed = await visitor.submit(page, '/demo/refresh');

    assert.match(refreshed.html, /The tokens were refreshed/);
    assert.match(
      refreshed.html,
      /<dt>Access token<\/dt><dd><bdi>SHA-256 [0-9a-f]{12}… → SHA-256 [0-9a-f]{12}…</,
    );
    assert.match(refreshed.html, /<dt>Refresh token<\/dt><dd><bdi>.{9} \(43 characters\) → /);
  });

  it('signs out here and at the server, and gives the refresh token back', async () => {
    const { visitor, page } = await signedIn();

    const atServer = await visitor.submit(page, '/demo/sign-out');

    assert.match(atServer.url, new RegExp(`^${demo.peer.issuer}/session/end\\?`));
    const { searchParams } = new URL(atServer.url);
    assert.equal(searchParams.get('post_logout_redirect_uri'), `${demo.demoUrl}/signed-out`);
    assert.ok(searchParams.get('id_token_hint'));
    const revocation = demo.calls.find(({ call }) => call === 'POST /token/revocation');
    assert.match(revocation?.body ?? '', /token_type_hint=refresh_token/);
    assert.match((await visitor.open(demo.demoUrl)).html, /href="\/demo\/sign-in"/);
  });

  it('takes nothing from an answer that comes when somebody is signed in, and shows who that is', async () => {
    const { visitor } = await signedIn();
    const calls = demo.calls.length;

    const page = await visitor.open(`${demo.demoUrl}/callback?code=another&state=unknown`);

    assert.equal(page.url, demo.demoUrl);
    assert.match(page.html, /ana@example\.com/);
    assert.equal(demo.calls.slice(calls).filter(({ call }) => call.startsWith('POST')).length, 0);
  });

  it('says in plain words that the person declined', async () => {
    demo.peer.denyWith = { error: 'access_denied', error_description: 'End-User aborted interaction' };

    const page = await createVisitor().open(`${demo.demoUrl}/sign-in`);

    assert.equal(page.status, 400);
    assert.match(page.html, /You did not sign in/);
    assert.match(page.html, /access_denied/);
  });

  it('says that the access ended when the server refuses the refresh token, and forgets the tokens', async () => {
    const { visitor, page } = await signedIn();
    await demo.peer.revokeAll();

    const refused = await visitor.submit(page, '/demo/refresh');

    assert.equal(refused.status, 502);
    assert.match(refused.html, /Your access has ended/);
    assert.match((await visitor.open(demo.demoUrl)).html, /Try a sign-in/);
  });

  it('says that the server cannot be reached, and recovers when it can', async () => {
    let reachable = false;
    const down = await startDemo({
      fetch: (input, init) =>
        reachable ? fetch(input, init) : Promise.reject(new TypeError('fetch failed')),
    });
    const visitor = createVisitor();

    const refused = await visitor.open(`${down.demoUrl}/sign-in`);
    reachable = true;
    const answered = await visitor.open(`${down.demoUrl}/sign-in`);
    await down.close();

    assert.equal(refused.status, 502);
    assert.match(refused.html, /cannot be reached/);
    assert.equal(answered.status, 200);
  });

  it('shows an opaque access token as such, and the refusal of the sample API', async () => {
    const opaque = await startDemo({ accessTokenFormat: 'opaque' });
    const visitor = createVisitor();

    const page = await visitor.open(`${opaque.demoUrl}/sign-in`);
    const called = await visitor.submit(page, '/demo/call-api');
    await opaque.close();

    assert.match(page.html, /This token is opaque/);
    assert.match(called.html, /answered 401/);
    assert.match(called.html, /invalid_token/);
  });

  describe('refuses', () => {
    async function callbackOf(visitor: ReturnType<typeof createVisitor>): Promise<string> {
      let url = `${demo.demoUrl}/sign-in`;
      while (!url.startsWith(`${demo.demoUrl}/callback`)) {
        const answer = await visitor.request(url);
        assert.equal(answer.status, 303, url);
        url = new URL(answer.headers.get('location') ?? '', url).href;
      }
      return url;
    }

    it('an answer in a browser that did not begin the sign-in', async () => {
      const callback = await callbackOf(createVisitor());

      const page = await createVisitor().open(callback);

      assert.equal(page.status, 400);
      assert.match(page.html, /cannot be finished here/);
    });

    it('an answer that was used before, once the sign-in it made is over', async () => {
      const visitor = createVisitor();
      const callback = await callbackOf(visitor);
      await visitor.submit(await visitor.open(callback), '/demo/sign-out');

      const page = await visitor.open(callback);

      assert.equal(page.status, 400);
    });

    it('an answer with the issuer of another server (mix-up, RFC 9207)', async () => {
      const visitor = createVisitor();
      const callback = new URL(await callbackOf(visitor));
      callback.searchParams.set('iss', 'https://attacker.example');

      const page = await visitor.open(callback.href);

      assert.equal(page.status, 502);
      assert.match(page.html, /did not pass the checks/);
    });

    it('forms that do not come from its own page', async () => {
      const { visitor } = await signedIn();

      for (const action of ['call-api', 'refresh', 'sign-out']) {
        const body = new URLSearchParams({ csrf: 'guessed' });
        const page = await visitor.open(`${demo.demoUrl}/${action}`, { method: 'POST', body });
        assert.equal(page.status, 403, action);
      }

      assert.match((await visitor.open(demo.demoUrl)).html, /Hello, <bdi>Ana/);
    });
  });
});
