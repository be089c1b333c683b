import type { Answer } from './connection.ts';

export interface CookieJar {
  /** The `Cookie` header for a path. */
  header(path: string): string;
  take(answer: Answer): void;
}

/** A browser's cookies for one host: by name and path (RFC 6265 §5.1.4). */
export function createCookieJar(): CookieJar {
  const cookies = new Map<string, { name: string; value: string; path: string }>();

  return {
    header(path) {
      const { pathname } = new URL(path, 'http://host');
      return [...cookies.values()]
        .filter((cookie) => isBelow(pathname, cookie.path))
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ');
    },

    take({ headers }) {
      for (const line of [headers['set-cookie'] ?? []].flat()) {
        const [pair = '', ...attributes] = line.split(/; */);
        const separator = pair.indexOf('=');
        const name = pair.slice(0, separator);
        const attribute = (wanted: string) =>
          attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
        const path = attribute('path') ?? '/';
        const expires = attribute('expires');
        const key = `${name} ${path}`;
        if (expires && Date.parse(expires) <= Date.now()) cookies.delete(key);
        else cookies.set(key, { name, value: pair.slice(separator + 1), path });
      }
    },
  };
}

function isBelow(pathname: string, path: string): boolean {
  return path === '/' || pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}
