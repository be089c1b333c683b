import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/** What variables of the environment can hold: the parsers that several share. */

export const flag = z
  .enum(['true', 'false', 'on', 'off', '1', '0'])
  .transform((text) => ['true', 'on', '1'].includes(text));
export const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

export const cidrs = z.string().transform((text, ctx) => {
  const list = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  for (const cidr of list) {
    if (!ipaddr.isValidCIDR(cidr)) {
      ctx.addIssue({ code: 'custom', message: `"${cidr}" is not a network such as 10.0.0.0/8 or fd00::/8` });
    }
  }
  return list;
});

export const keyList = z.string().transform((text, ctx) => {
  const keys = text.split(',').map((part) => Buffer.from(part.trim(), 'base64'));
  if (keys.some((key) => key.length !== 32)) {
    ctx.addIssue({
      code: 'custom',
      message: 'every key must be 32 bytes in base64, such as `openssl rand -base64 32` prints',
    });
  }
  return keys;
});

export const mailbox = z
  .string()
  .trim()
  .max(320)
  .regex(
    /^(?:[^<>"\p{C}]*<)?[^\s<>"(),:;@[\\\]]+@[^\s<>"(),:;@[\\\]]+>?$/u,
    'must be an address, or a name and an address such as Acme <no-reply@acme.com>',
  );

export const httpUrl = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ''));

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
