/** A browser reduced to what a flow without scripts needs: cookies, links, forms and redirects. */
export function createVisitor() {
  const cookies = new Map<string, { value: string; path: string }>();

  async function request(url: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const { pathname } = new URL(url);
    const sent = [...cookies].filter(([, { path }]) => pathname === path || pathname.startsWith(path));
    headers.set('cookie', sent.map(([name, { value }]) => `${name}=${value}`).join('; '));

    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/';
      if (value === '') cookies.delete(name);
      else cookies.set(name, { value, path });
    }
    return answer;
  }

  /** Follows redirects to the page at their end. */
  async function open(url: string, init: RequestInit = {}): Promise<Page> {
    let answer = await request(url, init);
    let at = url;
    for (let hops = 0; answer.status >= 300 && answer.status < 400; hops += 1) {
      if (hops > 20) throw new Error(`too many redirects at ${at}`);
      at = new URL(answer.headers.get('location') ?? '', at).href;
      answer = await request(at);
    }
    return { url: at, status: answer.status, headers: answer.headers, html: await answer.text() };
  }

  return {
    request,
    open,
    cookies,

    /** Presses the button of the form with this action, hidden fields included. */
    submit(page: Page, action: string): Promise<Page> {
      const [form] = page.html.split('<form').filter((part) => part.includes(`action="${action}"`));
      if (!form) throw new Error(`no form for ${action} on ${page.url}`);
      const fields = new URLSearchParams();
      for (const [input] of (form.split('</form>')[0] ?? '').matchAll(/<input[^>]*>/g)) {
        const name = /name="([^"]*)"/.exec(input)?.[1];
        if (name) fields.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? '');
      }
      return open(new URL(action, page.url).href, { method: 'POST', body: fields });
    },
  };
}

export interface Page {
  url: string;
  status: number;
  headers: Headers;
  html: string;
}
