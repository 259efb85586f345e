/** The public API of deye. */

export type { RunningBroker } from './broker/start.ts';
export { type CallHandler, type CallOptions, Client, type ClientState, connect } from './client/client.ts';
export { ConnectionLostError, type Message } from './client/connection.ts';
export type { ConnectOptions } from './client/dial.ts';
export type { SubscribeOptions, Subscription } from './client/subscription.ts';
export {
  type Collector,
  type CollectorDefinition,
  defineCollector,
  NonRetryableError,
  RetryAfterError,
  type Task,
  type TaskContext,
  type TaskHandler,
  ExcludeMeError,
} from './collector/define.ts';
export type { RunOptions } from './collector/run.ts';
export { type EmbeddedOptions, startBroker } from './embedded.ts';
export { FaultError } from './protocol/fault.ts';
export type * from './protocol/message.ts';
export type * from './protocol/schema.ts';
export { TransportError } from './transport/error.ts';
