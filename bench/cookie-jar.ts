import type { Answer } from './answer.ts';

export interface CookieJar {
  /** The `Cookie` header for a path; `''` where there is none. */
  header(path: string): string;
  take(answer: Pick<Answer, 'headers'>): void;
  /** A jar with nothing but the cookies whose names match. */
  only(names: RegExp): CookieJar;
}

interface Cookie {
  name: string;
  /** As it is sent. */
  pair: string;
  path: string;
}

const PATH = /;\s*path=([^;]*)/i;
const EXPIRES = /;\s*expires=([^;]*)/i;

/** A browser's cookies for one host: by name and path (RFC 6265 §5.1.4). */
export function createCookieJar(known: Iterable<Cookie> = []): CookieJar {
  let cookies = [...known];

  return {
    header(path) {
      const pathname = path.split('?', 1)[0] ?? path;
      let header = '';
      for (const cookie of cookies) {
        if (isBelow(pathname, cookie.path)) header += header === '' ? cookie.pair : `; ${cookie.pair}`;
      }
      return header;
    },

    take({ headers }) {
      for (const line of headers.getAll('set-cookie')) {
        const [pair = ''] = line.split(';', 1);
        const name = pair.slice(0, pair.indexOf('='));
        const path = PATH.exec(line)?.[1] ?? '/';
        const expires = EXPIRES.exec(line)?.[1];
        const at = cookies.findIndex((cookie) => cookie.name === name && cookie.path === path);
        if (expires !== undefined && Date.parse(expires) <= Date.now())
          cookies = cookies.filter((_, index) => index !== at);
        else if (at === -1) cookies.push({ name, pair, path });
        else cookies[at] = { name, pair, path };
      }
    },

    only: (names) => createCookieJar(cookies.filter(({ name }) => names.test(name))),
  };
}

function isBelow(pathname: string, path: string): boolean {
  return path === '/' || pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}
