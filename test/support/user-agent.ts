/**
 * A browser without a screen: cookies by path, one redirect at a time, forms filled in by name. For flows
 * where the protocol matters and not the pixels.
 */
export interface Page {
  status: number;
  url: string;
  headers: Headers;
  body: string;
  location: string | undefined;
}

interface Cookie {
  name: string;
  value: string;
  path: string;
}

/** As many as browsers follow. */
const MOST_HOPS = 20;

export type UserAgent = ReturnType<typeof createUserAgent>;

/** @param send how requests are made, for those that should not go where the URL says */
export function createUserAgent(
  send: (url: string, init: RequestInit) => Promise<Response> = (url, init) => fetch(url, init),
) {
  const cookies: Cookie[] = [];

  async function request(url: string, init: RequestInit = {}): Promise<Page> {
    const { pathname } = new URL(url);
    const sent = cookies.filter(
      ({ path }) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`),
    );
    const headers = new Headers({ accept: 'text/html', ...(init.headers as Record<string, string>) });
    if (sent.length > 0) headers.set('cookie', sent.map(({ name, value }) => `${name}=${value}`).join('; '));
    const response = await send(url, { ...init, headers, redirect: 'manual' });
    for (const header of response.headers.getSetCookie()) store(header);
    const location = response.headers.get('location');
    return {
      status: response.status,
      url,
      headers: response.headers,
      body: await response.text(),
      location: location === null ? undefined : new URL(location, url).href,
    };
  }

  function store(header: string): void {
    const [pair = '', ...attributes] = header.split(';').map((part) => part.trim());
    const [name = '', ...value] = pair.split('=');
    const path = attributes.find((attribute) => attribute.toLowerCase().startsWith('path='))?.slice(5) ?? '/';
    const expires = attributes.find((attribute) => attribute.toLowerCase().startsWith('expires='))?.slice(8);
    const index = cookies.findIndex((cookie) => cookie.name === name && cookie.path === path);
    if (index !== -1) cookies.splice(index, 1);
    if (expires && new Date(expires).getTime() < Date.now()) return;
    cookies.push({ name, value: value.join('='), path });
  }

  const agent = {
    cookies,
    get: (url: string, headers: Record<string, string> = {}) => request(url, { headers }),

    post: (url: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
      request(url, { method: 'POST', body: new URLSearchParams(form), headers }),

    /** Follows redirects while they stay below one of our own URLs. */
    async follow(page: Page, within: string): Promise<Page> {
      let current = page;
      for (let hops = 0; current.location?.startsWith(within); hops += 1) {
        if (current.status < 300 || current.status >= 400) break;
        if (hops === MOST_HOPS) throw new Error(`redirected in a circle: ${current.location}`);
        current = await agent.get(current.location);
      }
      return current;
    },

    /** Submits the form of the page whose action ends so, with its hidden fields and the given ones. */
    submit(page: Page, actionEnd: string, fields: Record<string, string> = {}): Promise<Page> {
      const form = formsOf(page.body).find(({ action }) => action.endsWith(actionEnd));
      if (!form)
        throw new Error(
          `no form to …${actionEnd} on ${page.url} (${page.status}):\n${page.body.slice(0, 2000)}`,
        );
      return agent.post(new URL(form.action, page.url).href, { ...form.hidden, ...fields });
    },
  };
  return agent;
}

export function formsOf(html: string): { action: string; hidden: Record<string, string> }[] {
  return [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].map(([, attributes = '', content = '']) => ({
    action: attribute(attributes, 'action') ?? '',
    hidden: Object.fromEntries(
      [...content.matchAll(/<input\b([^>]*)>/g)]
        .map(([, input = '']) => input)
        .filter((input) => attribute(input, 'type') === 'hidden')
        .map((input) => [attribute(input, 'name') ?? '', attribute(input, 'value') ?? '']),
    ),
  }));
}

function attribute(text: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1];
  return value
    ?.replaceAll('&#34;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
