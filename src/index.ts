/** The public API of deye. */

export type { RunningBroker } from './broker/start.ts';
export { Client, connect, type RequestNow } from './client/client.ts';
export type { ConnectOptions } from './client/dial.ts';
export { ConnectionLostError } from './client/error.ts';
export type { CallHandler } from './client/incoming-calls.ts';
export type { Message } from './client/incoming-frame.ts';
export type { CallOptions, ClientOptions, PublishOptions, TaskReadOptions } from './client/options.ts';
export type { Ack } from './client/pending-acks.ts';
export type { ClientState } from './client/reconnect.ts';
export type { SubscribeOptions, Subscription } from './client/subscription.ts';
export {
  type AssignedTask,
  type CollectorDefinition,
  type CollectorProgram,
  type ConfigurationValues,
  defineCollector,
  type StartContext,
  type TaskContext,
  type TaskHandler,
} from './collector/define.ts';
export { ExcludeMeError, NonRetryableError, RetryAfterError } from './collector/error.ts';
export type { RunOptions } from './collector/run.ts';
export { ConfigurationError } from './configuration/error.ts';
export { type EmbeddedOptions, startBroker } from './embedded.ts';
export type * from './protocol/assignment.ts';
export type * from './protocol/collector-method.ts';
export type * from './protocol/collector-schema.ts';
export { FaultError } from './protocol/fault.ts';
export type * from './protocol/hello.ts';
export type * from './protocol/message.ts';
export type * from './protocol/schema.ts';
export type * from './protocol/view-schema.ts';
export { TransportError } from './transport/error.ts';
