/*
 * libpq's pipeline mode (PostgreSQL manual, 32.5) and what stands beside it: chunked rows, Describe, Flush requests, errors
 * in the middle, cancel. One JSON line per check, as report.py has it.
 *
 *   cc -o libpq_pipeline libpq_pipeline.c -lpq && ./libpq_pipeline postgresql://user:password@host:port/database
 */
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUT_MAX 65536
#define QUERIES 500

static char out[OUT_MAX];

static void add(const char *format, ...) {
  size_t used = strlen(out);
  va_list args;
  va_start(args, format);
  vsnprintf(out + used, OUT_MAX - used, format, args);
  va_end(args);
}

static void print_string(const char *text) {
  putchar('"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else if (*text == '\n') printf("\\n");
    else if (*text == '\t') printf("\\t");
    else if (*text == '\t') printf("\\t");
    else putchar(*text);
  }
  putchar('"');
}

/* One result: its status, then rows, command tag or error with SQLSTATE and position. NULL is the end of one query. */
static void take(PGconn *conn) {
  PGresult *res = PQgetResult(conn);
  if (res == NULL) {
    add("end; ");
    return;
  }
  add("%s", PQresStatus(PQresultStatus(res)));
  for (int row = 0; row < PQntuples(res) && row < 3; row++)
    for (int column = 0; column < PQnfields(res); column++)
      add(" %s", PQgetisnull(res, row, column) ? "NULL" : PQgetvalue(res, row, column));
  const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
  if (state != NULL) {
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    add(" %s %s at %s", state, PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), position ? position : "-");
  }
  add(" [%s]; ", PQcmdStatus(res));
  PQclear(res);
}

static void takes(PGconn *conn, int count) {
  while (count-- > 0) take(conn);
}

static const char *by_number = "SELECT label FROM clients.numbers WHERE n = $1";

static void send_number(PGconn *conn, const char *value) {
  const char *values[1] = {value};
  PQsendQueryParams(conn, by_number, 1, NULL, values, NULL, NULL, 0);
}

static void send(PGconn *conn, const char *sql) { PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0); }

static void one_batch(PGconn *conn) {
  PQenterPipelineMode(conn);
  send_number(conn, "1");
  send_number(conn, "2");
  PQpipelineSync(conn);
  takes(conn, 5);
  add("%d", PQexitPipelineMode(conn));
}

static void several_syncs(PGconn *conn) {
  PQenterPipelineMode(conn);
  for (int sync = 0; sync < 3; sync++) {
    send_number(conn, sync == 1 ? "x" : "7");
    PQpipelineSync(conn);
  }
  takes(conn, 9);
  add("%d", PQexitPipelineMode(conn));
}

static void abort_until_sync(PGconn *conn) {
  PQenterPipelineMode(conn);
  send_number(conn, "1");
  send(conn, "SELECT nope FROM clients.numbers");
  send_number(conn, "2");
  PQpipelineSync(conn);
  send_number(conn, "3");
  PQpipelineSync(conn);
  takes(conn, 10);
  add("%d %d", PQexitPipelineMode(conn), PQtransactionStatus(conn));
}

static void flush_request(PGconn *conn) {
  PQenterPipelineMode(conn);
  send_number(conn, "4");
  PQsendFlushRequest(conn);
  takes(conn, 2);
  send_number(conn, "5");
  PQpipelineSync(conn);
  takes(conn, 3);
  add("%d", PQexitPipelineMode(conn));
}

static void prepared_in_pipeline(PGconn *conn) {
  const char *values[1] = {"9"};
  PQenterPipelineMode(conn);
  PQsendPrepare(conn, "named", by_number, 0, NULL);
  PQsendDescribePrepared(conn, "named");
  PQsendQueryPrepared(conn, "named", 1, values, NULL, NULL, 0);
  send(conn, "DEALLOCATE named");
  PQsendQueryPrepared(conn, "named", 1, values, NULL, NULL, 0);
  PQpipelineSync(conn);
  takes(conn, 11);
  add("%d", PQexitPipelineMode(conn));
}

static void transaction_in_pipeline(PGconn *conn) {
  PQenterPipelineMode(conn);
  send(conn, "BEGIN");
  send_number(conn, "1");
  PQpipelineSync(conn);
  takes(conn, 5);
  add("%d; ", PQtransactionStatus(conn));
  send(conn, "SELECT 1/0");
  PQpipelineSync(conn);
  takes(conn, 3);
  add("%d; ", PQtransactionStatus(conn));
  send_number(conn, "1");
  PQpipelineSync(conn);
  send(conn, "ROLLBACK");
  PQpipelineSync(conn);
  takes(conn, 6);
  add("%d", PQtransactionStatus(conn));
}

static void many_without_reading(PGconn *conn) {
  char number[8];
  int rows = 0;
  PQenterPipelineMode(conn);
  for (int query = 0; query < QUERIES; query++) {
    snprintf(number, sizeof number, "%d", query % 100 + 1);
    send_number(conn, number);
  }
  PQpipelineSync(conn);
  for (int query = 0; query < QUERIES; query++) {
    PGresult *res = PQgetResult(conn);
    rows += PQntuples(res);
    PQclear(res);
    PQgetResult(conn);
  }
  take(conn);
  add("%d", rows);
}

static void single_rows(PGconn *conn) {
  PQsendQueryParams(conn, "SELECT n FROM clients.numbers ORDER BY n LIMIT 4", 0, NULL, NULL, NULL, NULL, 0);
  PQsetSingleRowMode(conn);
  takes(conn, 6);
}

static void binary_results(PGconn *conn) {
  PGresult *res = PQexecParams(conn, "SELECT 258::int4, true, 1.5::float8, 'x'::text", 0, NULL, NULL, NULL, NULL, 1);
  for (int column = 0; column < PQnfields(res); column++) {
    add("%u/%d/%d:", PQftype(res, column), PQfsize(res, column), PQfformat(res, column));
    for (int byte = 0; byte < PQgetlength(res, 0, column); byte++)
      add("%02x", (unsigned char)PQgetvalue(res, 0, column)[byte]);
    add(" ");
  }
  PQclear(res);
}

static void copy_out(PGconn *conn) {
  char *line;
  PGresult *res = PQexec(conn, "COPY (SELECT n, label FROM clients.numbers WHERE n < 3 ORDER BY n) TO STDOUT");
  add("%s %d; ", PQresStatus(PQresultStatus(res)), PQnfields(res));
  PQclear(res);
  while (PQgetCopyData(conn, &line, 0) > 0) {
    add("%s", line);
    PQfreemem(line);
  }
  takes(conn, 2);
}

static void simple_query_in_pipeline(PGconn *conn) {
  /* libpq itself refuses it. */
  PQenterPipelineMode(conn);
  add("%d %s", PQsendQuery(conn, "SELECT 1"), PQerrorMessage(conn));
}

static void cancel(PGconn *conn) {
  char why[256];
  PQsendQuery(conn, "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), "
                    "generate_series(1, 1000) AS c(k) WHERE i + j + k < 0");
  usleep(700000);
  PGcancel *request = PQgetCancel(conn);
  add("%d; ", PQcancel(request, why, sizeof why));
  PQfreeCancel(request);
  takes(conn, 2);
  PGresult *res = PQexec(conn, "SELECT 1");
  add("%s", PQresStatus(PQresultStatus(res)));
  PQclear(res);
}

typedef struct {
  const char *name;
  void (*run)(PGconn *);
  const char *must_have;
} Check;

static const Check checks[] = {
    {"one batch", one_batch, "label 2"},
    {"several syncs with an error between", several_syncs, "22P02"},
    {"an error aborts until the sync", abort_until_sync, "PGRES_PIPELINE_ABORTED"},
    {"flush request", flush_request, "label 5"},
    {"prepared statement in a pipeline", prepared_in_pipeline, "26000"},
    {"transaction in a pipeline", transaction_in_pipeline, "25P02"},
    {"many queries without reading", many_without_reading, "500"},
    {"single row mode", single_rows, "PGRES_SINGLE_TUPLE"},
    {"binary results", binary_results, "00000102"},
    {"copy to standard output", copy_out, "label 2"},
    {"simple query in a pipeline", simple_query_in_pipeline, "not allowed"},
    {"cancel", cancel, "57014"},
};

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  for (size_t index = 0; index < sizeof checks / sizeof *checks; index++) {
    PGconn *conn = PQconnectdb(argv[1]);
    out[0] = '\0';
    if (PQstatus(conn) == CONNECTION_OK) checks[index].run(conn);
    else add("%s", PQerrorMessage(conn));
    PQfinish(conn);
    printf("{\"name\": \"%s\", \"ok\": %s, \"got\": ", checks[index].name,
           strstr(out, checks[index].must_have) ? "true" : "false");
    print_string(out);
    printf("}\n");
    fflush(stdout);
  }
  return 0;
}
