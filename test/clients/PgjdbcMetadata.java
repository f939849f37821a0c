import java.sql.*;
import java.util.*;

/** pgjdbc's DatabaseMetaData over the tables of test/integration/catalogue. One JSON line per call, as report.py has it. */
public class PgjdbcMetadata {
  interface Call { ResultSet on(DatabaseMetaData meta) throws SQLException; }


  static List<String> rows(ResultSet result) throws SQLException {
    ResultSetMetaData meta = result.getMetaData();
    List<String> found = new ArrayList<>();
    StringBuilder head = new StringBuilder();
    for (int column = 1; column <= meta.getColumnCount(); column++) head.append(meta.getColumnName(column)).append(' ').append(meta.getColumnTypeName(column)).append(" | ");
    found.add(head.toString());
    while (result.next()) {
      StringBuilder row = new StringBuilder();
      for (int column = 1; column <= meta.getColumnCount(); column++) row.append(result.getString(column)).append(" | ");
      found.add(row.toString());
    }
    return found;
  }

  static String json(Object value) {
    if (value instanceof List<?> list) {
      StringJoiner items = new StringJoiner(", ", "[", "]");
      for (Object item : list) items.add(json(item));
      return items.toString();
    }
    StringBuilder text = new StringBuilder("\"");
    for (char one : String.valueOf(value).toCharArray()) {
      if (one == '"' || one == '\\') text.append('\\').append(one);
      else if (one < ' ') text.append(String.format("\\u%04x", (int) one));
      else text.append(one);
    }
    return text.append('"').toString();
  }

  public static void main(String[] args) throws Exception {
    java.net.URI uri = java.net.URI.create(args[0]);
    String[] login = uri.getUserInfo().split(":");
    String url = "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath();
    String user = java.net.URLDecoder.decode(login[0], "UTF-8");
    String password = java.net.URLDecoder.decode(login[1], "UTF-8");
    Map<String, Call> calls = new LinkedHashMap<>();
    calls.put("catalogs", meta -> meta.getCatalogs());
    calls.put("schemas", meta -> meta.getSchemas(null, "%a%"));
    calls.put("table types", meta -> meta.getTableTypes());
    calls.put("tables", meta -> meta.getTables(null, "main", "%", null));
    calls.put("tables of one kind", meta -> meta.getTables(null, null, "%", new String[] {"TABLE", "VIEW"}));
    calls.put("columns", meta -> meta.getColumns(null, "main", "%", "%"));
    calls.put("columns of one table", meta -> meta.getColumns(null, "main", "Odd Name", "%"));
    calls.put("primary keys", meta -> meta.getPrimaryKeys(null, "main", "orders"));
    calls.put("unique keys", meta -> meta.getBestRowIdentifier(null, "main", "orders", DatabaseMetaData.bestRowSession, false));
    calls.put("imported keys", meta -> meta.getImportedKeys(null, "main", "orders"));
    calls.put("exported keys", meta -> meta.getExportedKeys(null, "main", "customers"));
    calls.put("cross reference", meta -> meta.getCrossReference(null, "main", "customers", null, "main", "orders"));
    calls.put("indexes", meta -> meta.getIndexInfo(null, "main", "orders", false, true));
    calls.put("unique indexes", meta -> meta.getIndexInfo(null, "main", "customers", true, true));
    calls.put("types", meta -> meta.getTypeInfo());
    calls.put("user types", meta -> meta.getUDTs(null, "main", "%", null));
    calls.put("procedures", meta -> meta.getProcedures(null, "main", "%"));
    calls.put("functions", meta -> meta.getFunctions(null, "pg_catalog", "to_char"));
    calls.put("function columns", meta -> meta.getFunctionColumns(null, "pg_catalog", "to_char", "%"));
    calls.put("table privileges", meta -> meta.getTablePrivileges(null, "sales", "nothing"));
    calls.put("version columns", meta -> meta.getVersionColumns(null, "main", "orders"));
    Properties properties = new Properties();
    properties.setProperty("user", user);
    properties.setProperty("password", password);
    try (Connection conn = DriverManager.getConnection(url, properties)) {
      DatabaseMetaData meta = conn.getMetaData();
      print("facts", true, List.of(meta.getDatabaseMajorVersion(), meta.getMaxColumnNameLength(), conn.getSchema(), conn.getCatalog(), meta.getSQLKeywords()));
      for (var call : calls.entrySet()) {
        boolean ok = true;
        Object got;
        try (ResultSet result = call.getValue().on(meta)) {
          List<String> found = rows(result);
          // Types of tables stand in the order of their oids, which are a server's own.
          if (call.getKey().equals("types")) Collections.sort(found);
          got = found;
        } catch (SQLException error) {
          ok = false;
          got = error;
        }
        print(call.getKey(), ok, got);
      }
    }
    System.exit(0);
  }

  static void print(String name, boolean ok, Object got) {
    System.out.println("{\"name\": " + json(name) + ", \"ok\": " + ok + ", \"got\": " + json(got) + "}");
  }
}
