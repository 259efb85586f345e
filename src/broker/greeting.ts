/** The hello of a client and the welcome that answers it. */
import type { Principal } from '../protocol/access.ts';
import { type ClosingCode, type Fault, fault } from '../protocol/fault.ts';
import { Kind, protocolVersion } from '../protocol/frame.ts';
import { helloSchema, type Welcome } from '../protocol/hello.ts';
import type { Limits } from '../protocol/limits.ts';
import { decodeValue } from '../protocol/msgpack.ts';

const major = (version: string): string => version.split('.')[0]!;

/** Whom the first frame makes of the session, or why it is refused. Throws MalformedError. */
export function greet(
  bytes: Buffer,
  start: number,
  end: number,
  peer: Principal['peer'],
): Principal | Fault<ClosingCode> {
  if (bytes[start + 5] !== Kind.hello)
    return fault('hello_expected', `The first frame must be a hello (kind ${Kind.hello}).`);
  const [, info] = decodeValue(bytes, start + 4, end) as unknown[];
  const hello = helloSchema.safeParse(info);
  if (!hello.success) {
    const { path, message } = hello.error.issues[0]!;
    return fault('hello_expected', `The hello does not fit: ${path.join('.') || 'info'}: ${message}.`);
  }
  const { protocol, name, version, role } = hello.data;
  if (major(protocol) !== major(protocolVersion))
    return fault(
      'protocol_version',
      `The client speaks protocol ${protocol}, this broker ${protocolVersion}. Use a deye of the same major protocol version.`,
      { client: protocol, broker: protocolVersion },
    );
  // A client that reaches the private socket is its owner's, and may have any role.
  return { name, version, role, namespace: 'default', peer, collectorId: undefined, eventDomains: new Set() };
}

export const welcomeOf = (version: string, session: string, limits: Limits): Welcome => ({
  protocol: protocolVersion,
  version,
  session,
  limits: { frame_bytes_max: limits.frameBytesMax, ping_ms: limits.pingMs, idle_ms: limits.idleMs },
});
