/** An operational error of the transport. `code` is stable; the message says what failed, why, and what to do. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code:
    | 'bad_address'
    | 'socket_path_too_long'
    | 'directory_unsafe'
    | 'file_unsafe'
    | 'lock_unusable'
    | 'socket_unsafe'
    | 'socket_in_use'
    | 'socket_removed'
    | 'broker_not_running'
    | 'permission_denied'
    | 'connection_failed'
    | 'wrong_token';

  constructor(code: TransportError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
