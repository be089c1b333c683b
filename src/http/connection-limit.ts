import type { Socket } from 'node:net';
import { createNetworks, networkOf, parseAddress } from '../lib/networks.ts';

/** @returns whether the connection stays; one too many is cut at once */
export type ConnectionLimit = (socket: Socket) => boolean;

/**
 * How many connections one network may hold open at a time, so that somebody who opens thousands and sends
 * nothing cannot take all the descriptors there are. A reverse proxy holds everybody's, so it is not limited.
 * @param most per IPv4 address or IPv6 /64, in this process
 * @param trustProxy CIDRs of the reverse proxies
 */
export function createConnectionLimit({
  most,
  trustProxy,
  onRefused = () => {},
}: {
  most: number;
  trustProxy: readonly string[];
  onRefused?: (network: string) => void;
}): ConnectionLimit {
  const trusted = createNetworks(trustProxy);
  const open = new Map<string, number>();

  return (socket) => {
    const address = parseAddress(socket.remoteAddress ?? '');
    // A unix socket, or gone already.
    if (!address || trusted.includes(address)) return true;

    const network = networkOf(address.toString());
    const count = open.get(network) ?? 0;
    if (count >= most) {
      onRefused(network);
      socket.destroy();
      return false;
    }
    open.set(network, count + 1);
    socket.once('close', () => {
      const left = (open.get(network) ?? 1) - 1;
      if (left > 0) open.set(network, left);
      else open.delete(network);
    });
    return true;
  };
}
