/** A mail server as `SMTP_URL` names it. */
export interface SmtpServer {
  host: string;
  port: number;
  user: string | undefined;
  password: string | undefined;
  /** From the first byte on; by STARTTLS or not at all; by STARTTLS if the server offers it. */
  tls: 'implicit' | 'required' | 'offered';
}

const PORTS = { 'smtp:': 587, 'smtps:': 465 } as const;

/**
 * `smtps://` is encrypted from the start, `smtp://` by STARTTLS, without which nothing is sent: otherwise
 * whoever sits in between could strip it and read every code. On loopback, and with `?starttls=optional`,
 * a server may do without.
 * @param text checked with the configuration
 */
export function parseSmtpUrl(text: string): SmtpServer {
  const url = new URL(text);
  const protocol = url.protocol as keyof typeof PORTS;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isOptional = url.searchParams.get('starttls') === 'optional' || isLoopback(host);
  const tls = protocol === 'smtps:' ? 'implicit' : isOptional ? 'offered' : 'required';
  return {
    host,
    port: url.port === '' ? PORTS[protocol] : Number(url.port),
    user: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    tls,
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
