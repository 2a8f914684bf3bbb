/** A bound for the time that a server works at one query; each server has its own word, which the other takes for a comment. */

/** `SET ...`, for the session. */
export function timeLimit(limitMs: number): string {
  return `SET @millrace = 1 /*!50708 , SESSION max_execution_time = ${Math.ceil(limitMs)} */ /*M! , SESSION max_statement_time = ${limitMs / 1000} */`
}
