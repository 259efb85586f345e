/** The public API of deye. */
export { type CallHandler, type CallOptions, Client, type ClientState, connect, type ConnectOptions } from './client/client.ts';
export { ConnectionLostError, type Message } from './client/connection.ts';
export { type Subscription, type SubscribeOptions } from './client/subscription.ts';
export { type Collector, type CollectorDefinition, defineCollector, GiveUp, RetryAfter, type Task, type TaskContext, type TaskHandler, TryElsewhere } from './collector/define.ts';
export type { RunOptions } from './collector/run.ts';
export { type EmbeddedOptions, startBroker } from './embedded.ts';
export type { RunningBroker } from './broker/start.ts';
export { FaultError } from './protocol/fault.ts';
export type * from './protocol/message.ts';
export { TransportError } from './transport/error.ts';
