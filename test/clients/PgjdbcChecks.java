import java.sql.*;
import java.util.*;
import java.util.concurrent.*;

/** pgjdbc: fetchSize, binary results, batches, metadata, cancel, query modes. One JSON line per check, as report.py has it. */
public class PgjdbcChecks {
  static final String NUMBERS = "SELECT n, label FROM clients.numbers ORDER BY n";
  static final String KINDS = "SELECT id, flag, small, big, real4, real8, exact, name, code, day, moment, moment_tz, span, uid, blob, ints, words FROM clients.kinds ORDER BY id";
  static final String SLOW = "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), generate_series(1, 1000) AS c(k) WHERE i + j + k < 0";
  static final int CANCEL_AFTER_MS = 700;

  interface Check { Object run(Connection conn) throws Exception; }

  static String url, user, password;

  static Connection connect(String... options) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", user);
    properties.setProperty("password", password);
    properties.setProperty("loginTimeout", "10");
    for (int index = 0; index < options.length; index += 2) properties.setProperty(options[index], options[index + 1]);
    return DriverManager.getConnection(url, properties);
  }

  static Object value(Object value) throws SQLException {
    if (value instanceof java.sql.Array array) return Arrays.deepToString((Object[]) array.getArray());
    if (value instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
    return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
  }

  static List<Object> rows(ResultSet result) throws SQLException {
    List<Object> found = new ArrayList<>();
    int columns = result.getMetaData().getColumnCount();
    while (result.next()) {
      List<Object> row = new ArrayList<>();
      for (int column = 1; column <= columns; column++) row.add(value(result.getObject(column)));
      found.add(row);
    }
    return found;
  }

  static List<Object> rows(Connection conn, String sql, Object... parameters) throws SQLException {
    try (PreparedStatement statement = conn.prepareStatement(sql)) {
      for (int index = 0; index < parameters.length; index++) statement.setObject(index + 1, parameters[index]);
      return rows(statement.executeQuery());
    }
  }

  static Object failure(Connection conn, String sql, Object... parameters) {
    try {
      rows(conn, sql, parameters);
      return "no error";
    } catch (SQLException error) {
      return error.getSQLState() + " " + error.getMessage();
    }
  }

  static Object fetchSize(Connection conn) throws SQLException {
    conn.setAutoCommit(false);
    try (PreparedStatement statement = conn.prepareStatement(NUMBERS)) {
      statement.setFetchSize(7);
      ResultSet result = statement.executeQuery();
      result.next();
      List<Object> beside = rows(conn, "SELECT 1");
      List<Object> rest = rows(result);
      conn.commit();
      return List.of(beside, rest.size(), rest.get(98));
    }
  }

  static Object binaryAfterFive(Connection conn) throws SQLException {
    Set<Object> seen = new LinkedHashSet<>();
    try (PreparedStatement statement = conn.prepareStatement(KINDS)) {
      for (int time = 0; time < 8; time++) seen.add(rows(statement.executeQuery()).toString());
    }
    return seen;
  }

  static Object manyParameters(Connection conn) throws SQLException {
    return rows(conn, "SELECT ?::boolean, ?::bigint, ?::numeric, ?::text, ?::date, ?::timestamp, ?::uuid, ?::int", true, 1L << 40,
        new java.math.BigDecimal("12.340"), "Zażółć 🦥", java.sql.Date.valueOf("2026-02-28"), Timestamp.valueOf("2026-02-28 01:02:03.4"),
        UUID.fromString("0b9a3f62-6a3e-4a52-9d0f-6a2d4a5b6c7d"), null);
  }

  static Object described(Connection conn) throws SQLException {
    List<Object> found = new ArrayList<>();
    try (PreparedStatement statement = conn.prepareStatement("SELECT n, label, n::numeric(10, 2) AS exact FROM clients.numbers WHERE n = ?")) {
      ResultSetMetaData meta = statement.getMetaData();
      for (int column = 1; column <= meta.getColumnCount(); column++)
        found.add(meta.getColumnName(column) + " " + meta.getColumnTypeName(column) + " " + meta.getPrecision(column) + " " + meta.getScale(column) + " " + meta.isNullable(column) + " " + meta.getTableName(column));
      found.add(statement.getParameterMetaData().getParameterTypeName(1));
    }
    return found;
  }

  static Object metadata(Connection conn) throws SQLException {
    DatabaseMetaData meta = conn.getMetaData();
    List<Object> found = new ArrayList<>();
    found.add(rows(meta.getTables(null, "clients", "%", new String[] {"TABLE", "VIEW"})));
    found.add(rows(meta.getColumns(null, "clients", "kinds", "%")));
    found.add(rows(meta.getPrimaryKeys(null, "clients", "numbers")));
    found.add(rows(meta.getIndexInfo(null, "clients", "numbers", false, false)).size());
    found.add(rows(meta.getImportedKeys(null, "clients", "numbers")));
    found.add(rows(meta.getTypeInfo()).size() > 50);
    return found;
  }

  static Object transactions(Connection conn) throws SQLException {
    conn.setAutoCommit(false);
    conn.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    List<Object> found = new ArrayList<>(List.of(rows(conn, "SHOW transaction_isolation")));
    Savepoint point = conn.setSavepoint("point");
    found.add(failure(conn, "SELECT nope FROM clients.numbers"));
    found.add(failure(conn, "SELECT 1"));
    conn.rollback(point);
    found.add(rows(conn, "SELECT 2"));
    conn.commit();
    return found;
  }

  static Object readOnly(Connection conn) throws SQLException {
    conn.setReadOnly(true);
    conn.setAutoCommit(false);
    List<Object> found = rows(conn, "SELECT count(*) FROM clients.numbers");
    conn.rollback();
    return found;
  }

  static Object several(Connection conn) throws SQLException {
    List<Object> found = new ArrayList<>();
    try (Statement statement = conn.createStatement()) {
      boolean isResult = statement.execute("SELECT 1; SELECT 2, 3; SELECT nope WHERE false");
      for (; isResult; isResult = statement.getMoreResults()) found.add(rows(statement.getResultSet()));
    } catch (SQLException error) {
      found.add(error.getSQLState());
    }
    return found;
  }

  static Object cancel(Connection conn) throws Exception {
    try (Statement statement = conn.createStatement(); var executor = new Closing()) {
      executor.later(() -> { statement.cancel(); return null; });
      try {
        statement.executeQuery(SLOW);
        return "no error";
      } catch (SQLException error) {
        return List.of(error.getSQLState(), rows(conn, "SELECT 1"));
      }
    }
  }

  static Object queryTimeout(Connection conn) throws SQLException {
    try (Statement statement = conn.createStatement()) {
      statement.setQueryTimeout(1);
      statement.executeQuery(SLOW);
      return "no error";
    } catch (SQLException error) {
      return List.of(error.getSQLState(), rows(conn, "SELECT 1"));
    }
  }

  static final class Closing implements AutoCloseable {
    final ScheduledExecutorService service = Executors.newSingleThreadScheduledExecutor();
    void later(Callable<Void> work) { service.schedule(work, CANCEL_AFTER_MS, TimeUnit.MILLISECONDS); }
    @Override public void close() { service.shutdownNow(); }
  }

  static Object copyOut(Connection conn) throws Exception {
    java.io.StringWriter sink = new java.io.StringWriter();
    long count = conn.unwrap(org.postgresql.PGConnection.class).getCopyAPI()
        .copyOut("COPY (SELECT n, label FROM clients.numbers WHERE n < 4 ORDER BY n) TO STDOUT", sink);
    return List.of(count, sink.toString());
  }

  static Object wrong(Connection conn) {
    return List.of(failure(conn, "SELEC 1"), failure(conn, "SELECT 'ü', nope FROM clients.numbers WHERE n = ?", 1),
        failure(conn, "SELECT * FROM clients.nothing"), failure(conn, "SELECT 1 / (n - 1) FROM clients.numbers WHERE n = ?", 1));
  }

  static Check inMode(String mode) {
    return conn -> {
      try (Connection other = connect("preferQueryMode", mode)) {
        List<Object> found = new ArrayList<>();
        for (int n : new int[] {1, 2, 1}) found.add(rows(other, "SELECT n, label FROM clients.numbers WHERE n = ?", n));
        found.add(rows(other, KINDS));
        found.add(failure(other, "SELECT nope"));
        return found;
      }
    };
  }

  static String json(Object value) {
    StringBuilder text = new StringBuilder("\"");
    for (char one : String.valueOf(value).toCharArray()) {
      if (one == '"' || one == '\\') text.append('\\').append(one);
      else if (one < ' ') text.append(String.format("\\u%04x", (int) one));
      else text.append(one);
    }
    return text.append('"').toString();
  }

  public static void main(String[] args) throws Exception {
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    Locale.setDefault(Locale.ROOT);
    java.net.URI uri = java.net.URI.create(args[0]);
    String[] login = uri.getUserInfo().split(":");
    url = "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath();
    user = java.net.URLDecoder.decode(login[0], "UTF-8");
    password = java.net.URLDecoder.decode(login[1], "UTF-8");
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("query", conn -> rows(conn, NUMBERS).subList(0, 3));
    checks.put("every type", conn -> rows(conn, KINDS));
    checks.put("parameters of many types", PgjdbcChecks::manyParameters);
    checks.put("fetch size reads a portal in parts", PgjdbcChecks::fetchSize);
    checks.put("binary results after five executions are the same", PgjdbcChecks::binaryAfterFive);
    checks.put("statement is described", PgjdbcChecks::described);
    checks.put("database metadata", PgjdbcChecks::metadata);
    checks.put("transactions and savepoints", PgjdbcChecks::transactions);
    checks.put("read only transaction", PgjdbcChecks::readOnly);
    checks.put("several statements in one query", PgjdbcChecks::several);
    checks.put("errors have state and position", PgjdbcChecks::wrong);
    checks.put("copy to standard output", PgjdbcChecks::copyOut);
    checks.put("cancel", PgjdbcChecks::cancel);
    checks.put("query timeout", PgjdbcChecks::queryTimeout);
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything"))
      checks.put("query mode " + mode, inMode(mode));
    for (var check : checks.entrySet()) {
      boolean ok = true;
      Object got;
      try (Connection conn = connect()) {
        got = check.getValue().run(conn);
      } catch (Exception error) {
        ok = false;
        got = error;
      }
      System.out.println("{\"name\": " + json(check.getKey()) + ", \"ok\": " + ok + ", \"got\": " + json(got) + "}");
    }
    System.exit(0);
  }
}
